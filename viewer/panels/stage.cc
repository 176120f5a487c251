// The picture: one view, or two beside each other, with zoom, pushes by dragging, and words where there is no picture.
#include <imgui.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "viewer/panels/layout.h"
#include "viewer/panels/parts.h"
#include "viewer/state/difference.h"

namespace orrery::viewer::panels {

namespace {

using parts::Tone;

// Pictures this small show their pixels.
constexpr int kPixelated = 160;
constexpr float kLeastZoom = 0.25f, kMostZoom = 64;

// Where a picture lies within `room`: fitted, or zoomed about the pan point.
Rect placed(const Session& session, const Frame& picture, const Rect& room) {
  const ReelInfo info = session.info();
  auto width = static_cast<float>(picture.width()), height = static_cast<float>(picture.height());
  // What stands in for a frame that is not there yet is smaller.
  if (info.kind == ReelKind::file && session.view() == View::picture && info.width > picture.width())
    width = static_cast<float>(info.width), height = static_cast<float>(info.height);
  const float fit = std::min(room.width / width, room.height / height);
  const float zoom = session.shown.zoom > 0 ? session.shown.zoom : fit;
  Rect place{0, 0, width * zoom, height * zoom};
  const bool free = session.shown.zoom > 0;
  const float u = free ? session.shown.pan_u : 0.5f, v = free ? session.shown.pan_v : 0.5f;
  place.x = room.x + room.width / 2 - u * place.width;
  place.y = room.y + room.height / 2 - v * place.height;
  return place;
}

void draw_picture(const Session& session, TextureSource& textures, int slot, const Picture& picture, const Rect& room,
                  Rect& place) {
  place = placed(session, *picture, room);
  const bool smooth = std::max(picture->width(), picture->height()) > kPixelated;
  const auto id = parts::to_id<ImTextureID>(textures.texture(slot, picture, smooth));
  ImDrawList& list = *ImGui::GetWindowDrawList();
  list.PushClipRect(ImVec2(room.x, room.y), ImVec2(room.x + room.width, room.y + room.height), true);
  list.AddImage(id, ImVec2(place.x, place.y), ImVec2(place.x + place.width, place.y + place.height));
  list.PopClipRect();
}

void zoom_and_pan(Session& session, const Rect& place, bool hovered) {
  const ImGuiIO& io = ImGui::GetIO();
  Shown& shown = session.shown;
  if (!hovered || place.width <= 0) return;
  const float u = (io.MousePos.x - place.x) / place.width, v = (io.MousePos.y - place.y) / place.height;
  if (io.MouseWheel != 0) {
    const Picture picture = session.main_picture();
    if (!picture) return;
    const float before = place.width / static_cast<float>(picture->width());
    const float zoom = std::clamp(before * std::pow(1.2f, io.MouseWheel), kLeastZoom, kMostZoom);
    if (shown.zoom == 0) shown.pan_u = shown.pan_v = 0.5f;
    // The place under the pointer stays there.
    shown.pan_u = u + (shown.pan_u - u) * before / zoom;
    shown.pan_v = v + (shown.pan_v - v) * before / zoom;
    shown.zoom = zoom;
  }
  if (shown.zoom > 0 &&
      (ImGui::IsMouseDragging(ImGuiMouseButton_Right) || ImGui::IsMouseDragging(ImGuiMouseButton_Middle))) {
    shown.pan_u -= io.MouseDelta.x / place.width;
    shown.pan_v -= io.MouseDelta.y / place.height;
  }
}

worlds::Push way_of(float dx, float dy, float least) {
  if (std::hypot(dx, dy) < least) return worlds::Push::none;
  if (std::abs(dx) > std::abs(dy)) return dx > 0 ? worlds::Push::right : worlds::Push::left;
  return dy > 0 ? worlds::Push::down : worlds::Push::up;
}

void arrow(float x, float y, float dx, float dy, std::uint32_t colour, float width) {
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const float length = std::hypot(dx, dy);
  if (length < 1) return;
  const float ux = dx / length, uy = dy / length, head = std::min(length, width * 4);
  const ImVec2 tip(x + dx, y + dy), neck(tip.x - ux * head, tip.y - uy * head);
  list.AddLine(ImVec2(x, y), neck, colour, width);
  list.AddTriangleFilled(tip, ImVec2(neck.x - uy * head * 0.6f, neck.y + ux * head * 0.6f),
                         ImVec2(neck.x + uy * head * 0.6f, neck.y - ux * head * 0.6f), colour);
}

// Drags push the body where they began; clicks pick it.
void pushes(Session& session, const Rect& place, bool active, bool released, float scale) {
  if (place.width <= 0 || (!active && !released)) return;
  const ImGuiIO& io = ImGui::GetIO();
  const ImVec2 from = io.MouseClickedPos[0];
  const float dx = io.MousePos.x - from.x, dy = io.MousePos.y - from.y;
  const double u = static_cast<double>((from.x - place.x) / place.width);
  const double v = static_cast<double>((from.y - place.y) / place.height);
  if (u < 0 || v < 0 || u > 1 || v > 1) return;
  const worlds::Push way = way_of(dx, dy, 12 * scale);
  if (released && way == worlds::Push::none) return session.pick(u, v);
  if (!session.live()) return;
  if (released) return session.push({way, u, v});
  const worlds::Vec2 d = worlds::push_direction(way);
  const float reach = 60 * scale;
  arrow(from.x, from.y, static_cast<float>(d.x) * reach, -static_cast<float>(d.y) * reach, parts::packed(0xE69F00),
        4 * scale);
}

// The body that arrow keys push is the one nearest to this mark.
void draw_target(const Session& session, const Rect& place, float scale) {
  if (!session.live() || !session.shown.person || session.info().frames == 0) return;
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const ImVec2 at(place.x + static_cast<float>(session.shown.target_u) * place.width,
                  place.y + static_cast<float>(session.shown.target_v) * place.height);
  const float r = 7 * scale;
  for (const auto& [colour, width] :
       {std::pair{parts::packed(0x000000, 0.5f), 3.5f}, {parts::packed(0xFFFFFF, 0.9f), 1.5f}}) {
    list.AddCircle(at, r, colour, 24, width * scale);
    list.AddLine(ImVec2(at.x - r * 1.6f, at.y), ImVec2(at.x - r, at.y), colour, width * scale);
    list.AddLine(ImVec2(at.x + r, at.y), ImVec2(at.x + r * 1.6f, at.y), colour, width * scale);
    list.AddLine(ImVec2(at.x, at.y - r * 1.6f), ImVec2(at.x, at.y - r), colour, width * scale);
    list.AddLine(ImVec2(at.x, at.y + r), ImVec2(at.x, at.y + r * 1.6f), colour, width * scale);
  }
}

void centred(const Rect& room, float y, const std::string& text, std::uint32_t colour, float size) {
  ImFont* font = ImGui::GetFont();
  const ImVec2 extent = font->CalcTextSizeA(size, room.width * 0.9f, room.width * 0.85f, text.c_str());
  ImGui::GetWindowDrawList()->AddText(font, size, ImVec2(room.x + (room.width - extent.x) / 2, y), colour, text.c_str(),
                                      nullptr, room.width * 0.85f);
}

// Nothing is open, or it cannot be shown: says so, and what to do.
void draw_empty(Session& session, const Rect& room, float scale) {
  const bool dark = session.shown.dark;
  const float size = ImGui::GetFontSize(), y = room.y + room.height * 0.32f;
  const ReelInfo info = session.info();
  if (!info.error.empty()) {
    centred(room, y, "This cannot be shown", parts::tone(dark, Tone::bad), size * 1.5f);
    centred(room, y + size * 2.4f, info.error, parts::tone(dark, Tone::text), size);
    centred(room, y + size * 5.2f, "Type a prompt above, or open another file (Ctrl+O).",
            parts::tone(dark, Tone::faint), size);
    return;
  }
  if (session.watching()) {
    const std::string what = info.kind == ReelKind::model ? "Loading the model..." : "One moment...";
    return centred(room, y + size * 2, what, parts::tone(dark, Tone::faint), size * 1.2f);
  }
  centred(room, y - size, "What should happen?", parts::tone(dark, Tone::text), size * 1.8f);
  centred(room, y + size * 1.8f,
          "Type it above and press Enter, drop a video here, or try one of these:", parts::tone(dark, Tone::faint),
          size);
  static const char* const kExamples[] = {"a red ball bounces on the floor", "two balls collide", "a pendulum swings",
                                          "water pours into a box"};
  ImGui::SetCursorScreenPos(ImVec2(room.x, y + size * 4));
  for (const char* example : kExamples) {
    const float width = ImGui::CalcTextSize(example).x + 30 * scale;
    ImGui::SetCursorPosX((room.width - width) / 2);
    if (parts::button(session, example, (std::string("example ") + example).c_str(), "Makes this world")) {
      session.form.prompt = example;
      session.start_prompt();
    }
  }
}

std::string main_label(const Session& session) {
  const ReelInfo info = session.info();
  if (info.kind == ReelKind::file) return info.title;
  const std::string who = info.kind == ReelKind::model ? "model" : "engine";
  const auto branches = session.live_run()->branches();
  return branches.size() < 2 ? who : who + ", branch " + std::to_string(session.live_run()->current() + 1);
}

// In the corner of the picture, or of its room where the picture goes beyond it.
void label_picture(const Rect& place, const Rect& room, const std::string& text, std::uint32_t colour, float scale) {
  parts::chip(std::max(place.x, room.x) + 6 * scale, std::max(place.y, room.y) + 6 * scale, text, colour);
}

void draw_hint(const Session& session, const Rect& room, float scale) {
  if (!session.live() || !session.playhead().playing() || session.playhead().seconds() > 12 ||
      session.info().frames == 0)
    return;
  const auto branches = session.live_run()->branches();
  if (branches.size() > 1 || !branches[0].actions.empty()) return;  // it is known by now
  const std::string text = !session.shown.person
                               ? "You only watch: M takes the controls."
                               : "This world is live: drag on a body or press the arrow keys to push it. Space pauses.";
  const float width = ImGui::CalcTextSize(text.c_str()).x;
  if (width > room.width * 0.95f) return;
  parts::chip(room.x + (room.width - width) / 2, room.y + room.height - 34 * scale, text, parts::packed(0xE8EBF0));
}

}  // namespace

void draw_stage(Session& session, TextureSource& textures, const Rect& room, float scale) {
  ImDrawList& list = *ImGui::GetWindowDrawList();
  list.AddRectFilled(ImVec2(room.x, room.y), ImVec2(room.x + room.width, room.y + room.height),
                     parts::tone(session.shown.dark, Tone::stage));
  if (session.shown.sheet && session.sheet() != nullptr)
    return draw_sheet(session, textures,
                      {room.x + 12 * scale, room.y + 8 * scale, room.width - 20 * scale, room.height - 10 * scale},
                      scale);
  const Rect inner{room.x + 8 * scale, room.y + 8 * scale, room.width - 16 * scale, room.height - 16 * scale};
  const bool beside = session.view() == View::side_by_side && session.has_other();
  Picture first = beside ? session.main_picture() : session.composed();
  if (!first) first = session.stand_in();
  if (!first) return draw_empty(session, inner, scale);
  ImGui::SetCursorScreenPos(ImVec2(room.x, room.y));
  ImGui::InvisibleButton("##picture", ImVec2(room.width, room.height));
  const bool hovered = ImGui::IsItemHovered(), active = ImGui::IsItemActive(), released = ImGui::IsItemDeactivated();
  Rect place;
  const std::uint32_t white = parts::packed(0xE8EBF0);
  if (beside) {
    const float gap = 8 * scale;
    const Rect left{inner.x, inner.y, (inner.width - gap) / 2, inner.height};
    const Rect right{left.x + left.width + gap, inner.y, left.width, inner.height};
    draw_picture(session, textures, 0, first, left, place);
    label_picture(place, left, main_label(session), white, scale);
    Rect there = right;
    if (const Picture second = session.other_picture()) {
      draw_picture(session, textures, 1, second, right, there);
      session.shown.places["other picture"] = there;
    } else {
      centred(right, right.y + right.height / 2,
              session.other_error().empty() ? "One moment..." : session.other_error(),
              parts::tone(session.shown.dark, Tone::faint), ImGui::GetFontSize());
    }
    label_picture(there, right, session.other_name(), parts::packed(0xE69F00), scale);
  } else {
    draw_picture(session, textures, 0, first, inner, place);
    const bool plain = session.view() == View::picture;
    const std::string label = plain ? main_label(session)
                              : session.view() == View::other
                                  ? session.other_name()
                                  : main_label(session) + " against " + session.other_name();
    label_picture(place, inner, label, plain ? white : parts::packed(0xE69F00), scale);
    if (session.view() == View::difference) draw_heat_legend(inner, "same", "64 grey levels", scale);
  }
  session.shown.places["picture"] = place;
  if (session.view() != View::other) draw_heat_map(session, place, inner, scale);
  draw_overlays(session, place);
  draw_target(session, place, scale);
  zoom_and_pan(session, place, hovered);
  pushes(session, place, active, released, scale);
  if (session.view() == View::picture && session.shown.heat == Heat::none) draw_hint(session, inner, scale);
}

}  // namespace orrery::viewer::panels
