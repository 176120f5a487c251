#include "viewer/draw/primitives.h"

#include <imgui.h>

#include <algorithm>
#include <cmath>
#include <type_traits>

namespace orrery::viewer::draw {

static_assert(std::is_same_v<ImDrawIdx, unsigned short>);

namespace {

// Rounded as Dear ImGui's OpenGL back end rounds.
PixelRect clip_of(const ImDrawCmd& command, ImVec2 origin, int height) {
  const float left = command.ClipRect.x - origin.x, top = command.ClipRect.y - origin.y;
  const float right = command.ClipRect.z - origin.x, bottom = command.ClipRect.w - origin.y;
  if (right <= left || bottom <= top) return {};
  const int tall = static_cast<int>(bottom - top), below = static_cast<int>(static_cast<float>(height) - bottom);
  return {static_cast<int>(left), height - below - tall, static_cast<int>(right - left), tall};
}

bool is_rectangle(const ImDrawVert* v, const ImDrawIdx* i) {
  if (i[3] != i[0] || i[4] != i[2]) return false;
  const ImVec2 a = v[i[0]].pos, b = v[i[1]].pos, c = v[i[2]].pos, d = v[i[5]].pos;
  return a.x == d.x && b.x == c.x && a.y == b.y && c.y == d.y && a.x <= c.x && a.y <= c.y;
}

PixelRect bounds_of(const Primitive& one, ImVec2 origin) {
  ImVec2 low = one.vertex(0).pos, high = low;
  for (int i = 1; i < 3; ++i) {
    const ImVec2 p = one.vertex(i).pos;
    low = ImVec2(std::min(low.x, p.x), std::min(low.y, p.y));
    high = ImVec2(std::max(high.x, p.x), std::max(high.y, p.y));
  }
  const auto x = static_cast<int>(std::floor(low.x - origin.x)), y = static_cast<int>(std::floor(low.y - origin.y));
  return {x, y, static_cast<int>(std::ceil(high.x - origin.x)) - x, static_cast<int>(std::ceil(high.y - origin.y)) - y};
}

}  // namespace

const ImDrawVert& Primitive::vertex(int i) const { return vertices[indices[i]]; }

void take_apart(const ImDrawData& data, int width, int height, std::vector<Primitive>& primitives) {
  primitives.clear();
  std::uint32_t base = 0;
  for (int i = 0; i < data.CmdListsCount; ++i) {
    const ImDrawList& list = *data.CmdLists[i];
    for (const ImDrawCmd& command : list.CmdBuffer) {
      const PixelRect clip = common(clip_of(command, data.DisplayPos, height), {0, 0, width, height});
      if (clip.empty()) continue;
      Primitive one{list.VtxBuffer.Data + command.VtxOffset,
                    list.IdxBuffer.Data + command.IdxOffset,
                    3,
                    base + command.VtxOffset,
                    reinterpret_cast<std::uintptr_t>(command.GetTexID()),
                    clip,
                    {}};
      for (int left = static_cast<int>(command.ElemCount); left >= 3; left -= one.count, one.indices += one.count) {
        one.count = left >= 6 && is_rectangle(one.vertices, one.indices) ? 6 : 3;
        one.bounds = common(bounds_of(one, data.DisplayPos), clip);
        if (!one.bounds.empty()) primitives.push_back(one);
      }
    }
    base += static_cast<std::uint32_t>(list.VtxBuffer.Size);
  }
}

}  // namespace orrery::viewer::draw
