// The plain-loop references of layer norm and group norm.
#include <cmath>
#include <vector>

#include "kernels/api/layer_norm.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/strided.h"

namespace orrery {

namespace {

double weight_at(const TensorView& weight, std::int64_t i, double otherwise) {
  return weight ? load(weight, i) : otherwise;
}

// Layer norm is a group norm of one position and one group a row, group norm one of many: both as [batch, positions,
// groups, channels of a group].
struct Cells {
  std::int64_t batch, positions, groups, width;
  std::int64_t channel(std::int64_t g, std::int64_t c) const { return g * width + c; }
  std::int64_t at(std::int64_t b, std::int64_t p, std::int64_t g, std::int64_t c) const {
    return (b * positions + p) * groups * width + channel(g, c);
  }
  double count() const { return static_cast<double>(positions * width); }
};

template <class Body>
void for_cells(const Cells& cells, std::int64_t b, std::int64_t g, const Body& body) {
  for (std::int64_t p = 0; p < cells.positions; ++p)
    for (std::int64_t c = 0; c < cells.width; ++c) body(cells.at(b, p, g, c), cells.channel(g, c));
}

template <class Args>
void forward(const Args& args, const Cells& cells) {
  for (std::int64_t b = 0; b < cells.batch; ++b)
    for (std::int64_t g = 0; g < cells.groups; ++g) {
      double sum = 0, squares = 0;
      for_cells(cells, b, g, [&](std::int64_t at, std::int64_t) { sum += load(args.x, at); });
      const double mean = sum / cells.count();
      for_cells(cells, b, g, [&](std::int64_t at, std::int64_t) {
        squares += (load(args.x, at) - mean) * (load(args.x, at) - mean);
      });
      const double inverse = 1 / std::sqrt(squares / cells.count() + double{args.eps});
      args.mean.template as<float>()[b * cells.groups + g] = static_cast<float>(mean);
      args.inverse.template as<float>()[b * cells.groups + g] = static_cast<float>(inverse);
      for_cells(cells, b, g, [&](std::int64_t at, std::int64_t channel) {
        store(args.y, at,
              (load(args.x, at) - mean) * inverse * weight_at(args.weight, channel, 1) +
                  weight_at(args.bias, channel, 0));
      });
    }
}

template <class Args>
void backward(const Args& args, const Cells& cells) {
  const auto channels = static_cast<std::size_t>(cells.groups * cells.width);
  std::vector<double> grad_weight(channels, 0.0), grad_bias(channels, 0.0);
  for (std::int64_t b = 0; b < cells.batch; ++b)
    for (std::int64_t g = 0; g < cells.groups; ++g) {
      const double mean = load(args.mean, b * cells.groups + g), inverse = load(args.inverse, b * cells.groups + g);
      double sum = 0, dot = 0;
      for_cells(cells, b, g, [&](std::int64_t at, std::int64_t channel) {
        const double grad = load(args.grad_y, at), normal = (load(args.x, at) - mean) * inverse;
        const double weighted = grad * weight_at(args.weight, channel, 1);
        sum += weighted;
        dot += weighted * normal;
        grad_weight[static_cast<std::size_t>(channel)] += grad * normal;
        grad_bias[static_cast<std::size_t>(channel)] += grad;
      });
      for_cells(cells, b, g, [&](std::int64_t at, std::int64_t channel) {
        const double normal = (load(args.x, at) - mean) * inverse;
        const double weighted = load(args.grad_y, at) * weight_at(args.weight, channel, 1);
        store(args.grad_x, at, inverse * (weighted - (sum + normal * dot) / cells.count()));
      });
    }
  for (std::size_t c = 0; c < channels; ++c) {
    if (args.grad_weight) store(args.grad_weight, static_cast<std::int64_t>(c), grad_weight[c]);
    if (args.grad_bias) store(args.grad_bias, static_cast<std::int64_t>(c), grad_bias[c]);
  }
}

Cells rows_of(const TensorView& x) { return {x.shape[0], 1, 1, x.shape[1]}; }
Cells groups_of(const TensorView& x, const TensorView& mean) {
  return {x.shape[0], x.shape[1], mean.shape[1], x.shape[2] / mean.shape[1]};
}

}  // namespace

void add_layer_norm_references() {
  add_kernel<LayerNormArgs>(Device::cpu, "reference",
                            [](const LayerNormArgs& args) { forward(args, rows_of(args.x)); });
  add_kernel<LayerNormBackwardArgs>(Device::cpu, "reference",
                                    [](const LayerNormBackwardArgs& args) { backward(args, rows_of(args.x)); });
  add_kernel<GroupNormArgs>(Device::cpu, "reference",
                            [](const GroupNormArgs& args) { forward(args, groups_of(args.x, args.mean)); });
  add_kernel<GroupNormBackwardArgs>(Device::cpu, "reference", [](const GroupNormBackwardArgs& args) {
    backward(args, groups_of(args.x, args.mean));
  });
}

}  // namespace orrery
