// What of a frame is found to have changed, without a window: Dear ImGui lays out, nothing draws.
#include "viewer/draw/damage.h"

#include <imgui.h>

#include <functional>
#include <random>

#include "tests/support/catch.h"
#include "viewer/draw/primitives.h"

using namespace orrery;
using viewer::draw::Damage;
using viewer::draw::PixelRect;

namespace {

constexpr int kWidth = 320, kHeight = 200;
constexpr std::uintptr_t kLetters = 1, kPicture = 2;

// A frame after another, as the window has them.
class Frames {
 public:
  Frames() {
    ImGui::CreateContext();
    ImGuiIO& io = ImGui::GetIO();
    io.IniFilename = nullptr;
    io.DisplaySize = ImVec2(kWidth, kHeight);
    unsigned char* pixels = nullptr;
    int width = 0, height = 0;
    io.Fonts->GetTexDataAsAlpha8(&pixels, &width, &height);
    io.Fonts->SetTexID(reinterpret_cast<ImTextureID>(kLetters));
  }
  ~Frames() { ImGui::DestroyContext(); }

  std::vector<PixelRect> next(const std::function<void(ImDrawList&)>& lay_out, std::uint32_t background = 0) {
    ImGui::NewFrame();
    lay_out(*ImGui::GetForegroundDrawList());
    ImGui::Render();
    std::vector<viewer::draw::Primitive> primitives;
    viewer::draw::take_apart(*ImGui::GetDrawData(), kWidth, kHeight, primitives);
    return damage.changed(primitives, kWidth, kHeight, background,
                          [this](std::uintptr_t texture) { return texture == kPicture ? &picture : nullptr; });
  }

  Damage damage;
  Frame picture{40, 25};
};

bool has(const PixelRect& rect, int x, int y) {
  return x >= rect.x && y >= rect.y && x < rect.x + rect.width && y < rect.y + rect.height;
}

const PixelRect kAll{0, 0, kWidth, kHeight};

std::function<void(ImDrawList&)> rectangle(const PixelRect& at, std::uint32_t colour = IM_COL32_WHITE) {
  return [=](ImDrawList& list) {
    list.AddRectFilled(ImVec2(static_cast<float>(at.x), static_cast<float>(at.y)),
                       ImVec2(static_cast<float>(at.x + at.width), static_cast<float>(at.y + at.height)), colour);
  };
}

void show_picture(ImDrawList& list) {
  list.AddImage(reinterpret_cast<ImTextureID>(kPicture), ImVec2(0, 0), ImVec2(kWidth, kHeight));
}

}  // namespace

TEST_CASE("the first frame is drawn as a whole, the same again not at all", "[viewer]") {
  Frames frames;
  const auto letters = [](ImDrawList& list) { list.AddText(ImVec2(20, 30), IM_COL32_WHITE, "0:01.5"); };
  CHECK(frames.next(letters) == std::vector{kAll});
  CHECK(frames.next(letters).empty());
  CHECK(frames.next(letters, 7) == std::vector{kAll});  // another background
  CHECK(frames.next(letters, 7).empty());
  frames.damage.forget();
  CHECK(frames.next(letters, 7) == std::vector{kAll});
}

TEST_CASE("a colour, a letter and what is drawn on top of what are changes, where they are", "[viewer]") {
  Frames frames;
  const PixelRect tile{64, 64, 32, 32}, small{70, 70, 10, 10};
  frames.next(rectangle(small));
  CHECK(frames.next(rectangle(small, IM_COL32_BLACK)) == std::vector{tile});
  const auto two = [&](std::uint32_t first, std::uint32_t second) {
    return [=, &frames] {
      return frames.next([=](ImDrawList& list) { rectangle(small, first)(list), rectangle(small, second)(list); });
    }();
  };
  two(IM_COL32_BLACK, IM_COL32_WHITE);
  CHECK(two(IM_COL32_WHITE, IM_COL32_BLACK) == std::vector{tile});
  CHECK(two(IM_COL32_WHITE, IM_COL32_BLACK).empty());
  const auto text = [](const char* letters) {
    return [=](ImDrawList& list) { list.AddText(ImVec2(70, 70), IM_COL32_WHITE, letters); };
  };
  frames.next(text("a"));
  CHECK(frames.next(text("b")) == std::vector{tile});
}

TEST_CASE("each pixel that may look other is in one of the parts, and in one only", "[viewer]") {
  Frames frames;
  std::mt19937 random(5);
  const auto draw = [&random](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  std::vector<PixelRect> before;
  long found = 0;
  for (int round = 0; round < 60; ++round) {
    std::vector<PixelRect> now;
    for (int i = 0; i < 4; ++i) now.push_back({draw(-20, kWidth), draw(-20, kHeight), draw(1, 60), draw(1, 60)});
    if (!before.empty()) now[0] = before[0];  // stays where it is
    const std::vector<PixelRect> parts = frames.next([&](ImDrawList& list) {
      for (const PixelRect& rect : now) rectangle(rect)(list);
    });
    int missed = 0, twice = 0;
    for (int y = 0; y < kHeight; ++y) {
      for (int x = 0; x < kWidth; ++x) {
        const auto drawn = [&](const std::vector<PixelRect>& rects) {
          return std::count_if(rects.begin(), rects.end(), [&](const PixelRect& rect) { return has(rect, x, y); });
        };
        const auto times = drawn(parts);
        found += times;
        twice += times > 1;
        missed += times == 0 && (drawn(before) > 0) != (drawn(now) > 0);
      }
    }
    CHECK(missed == 0);
    CHECK(twice == 0);
    before = now;
  }
  CHECK(found < 45 * kWidth * kHeight);  // and not simply everything
}

TEST_CASE("of a picture, the part that changed", "[viewer]") {
  Frames frames;
  frames.next(show_picture);
  CHECK(frames.next(show_picture).empty());
  // A pixel is 8 window pixels wide; it reaches half a neighbour further, and a tile is hashed with a pixel to spare.
  frames.picture.at(20, 12)[1] = 1;
  const std::vector<PixelRect> parts = frames.next(show_picture);
  for (const auto& [x, y] : {std::pair{157, 93}, {171, 107}, {164, 100}})
    CHECK(std::any_of(parts.begin(), parts.end(), [x = x, y = y](const PixelRect& part) { return has(part, x, y); }));
  long area = 0;
  for (const PixelRect& part : parts) area += part.area();
  CHECK(area <= 3L * 3 * Damage::kTile * Damage::kTile);
  CHECK(frames.next(show_picture).empty());
  frames.picture.at(0, 0)[0] = 1;
  frames.picture.at(39, 24)[2] = 1;
  CHECK(frames.next(show_picture).size() == 2);
}
