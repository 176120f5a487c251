#include "viewer/draw/painter.h"

#define GL_GLEXT_PROTOTYPES
#include <GL/gl.h>
#include <GL/glext.h>
#include <imgui.h>

#include <array>
#include <cmath>
#include <cstddef>

#include "core/base/error.h"
#include "viewer/draw/primitives.h"

namespace orrery::viewer::draw {

namespace {

// From so many pixels on, a plain rectangle is worth a change of program.
constexpr long kLarge = 1024;
// From so many on, a picture is worth parts of its own.
constexpr long kPicture = 128 * 128;

constexpr const char* kVertex = R"(#version 330 core
uniform mat4 projection;
layout(location = 0) in vec2 position;
layout(location = 1) in vec2 place;
layout(location = 2) in vec4 colour;
out vec2 at;
out vec4 tint;
void main() {
  at = place;
  tint = colour;
  gl_Position = projection * vec4(position, 0, 1);
}
)";
// In the order of Painter::Kind.
constexpr std::array<const char*, 3> kFragments = {R"(#version 330 core
uniform sampler2D picture;
in vec2 at;
in vec4 tint;
out vec4 colour;
void main() { colour = tint * texture(picture, at); }
)",
                                                   R"(#version 330 core
in vec4 tint;
out vec4 colour;
void main() { colour = tint; }
)",
                                                   R"(#version 330 core
uniform sampler2D picture;
in vec2 at;
out vec4 colour;
void main() { colour = vec4(texture(picture, at).rgb, 1); }
)"};

GLuint compiled(GLenum kind, const char* source) {
  const GLuint shader = glCreateShader(kind);
  glShaderSource(shader, 1, &source, nullptr);
  glCompileShader(shader);
  GLint good = 0;
  glGetShaderiv(shader, GL_COMPILE_STATUS, &good);
  ORRERY_CHECK(good == GL_TRUE, "OpenGL refuses a shader");
  return shader;
}

GLuint linked(const char* fragment) {
  const GLuint program = glCreateProgram(), first = compiled(GL_VERTEX_SHADER, kVertex),
               second = compiled(GL_FRAGMENT_SHADER, fragment);
  glAttachShader(program, first);
  glAttachShader(program, second);
  glLinkProgram(program);
  glDeleteShader(first);
  glDeleteShader(second);
  GLint good = 0;
  glGetProgramiv(program, GL_LINK_STATUS, &good);
  ORRERY_CHECK(good == GL_TRUE, "OpenGL refuses a shader");
  return program;
}

void scissor(const PixelRect& rect, int height) {
  glScissor(rect.x, height - rect.y - rect.height, rect.width, rect.height);
}

template <class Test>
bool all_vertices(const Primitive& one, Test test) {
  for (int i = 0; i < one.count; ++i)
    if (!test(one.vertex(i))) return false;
  return true;
}

// The pixels that a rectangle covers wholly; none for a triangle.
PixelRect covered_by(const Primitive& one) {
  if (!one.rectangle()) return {};
  const ImVec2 low = one.vertex(0).pos, high = one.vertex(2).pos;
  const auto x = static_cast<int>(std::ceil(low.x)), y = static_cast<int>(std::ceil(low.y));
  return common({x, y, static_cast<int>(std::floor(high.x)) - x, static_cast<int>(std::floor(high.y)) - y}, one.clip);
}

// Cuts the parts along a rectangle's edges: what lies within, and up to four strips about it.
std::vector<PixelRect> cut(const std::vector<PixelRect>& parts, const PixelRect& along) {
  std::vector<PixelRect> pieces;
  for (const PixelRect& part : parts) {
    const PixelRect inner = common(part, along);
    if (inner.empty()) {
      pieces.push_back(part);
      continue;
    }
    const int below = inner.y + inner.height, right = inner.x + inner.width;
    for (const PixelRect& piece : {inner, PixelRect{part.x, part.y, part.width, inner.y - part.y},
                                   PixelRect{part.x, below, part.width, part.y + part.height - below},
                                   PixelRect{part.x, inner.y, inner.x - part.x, inner.height},
                                   PixelRect{right, inner.y, part.x + part.width - right, inner.height}})
      if (!piece.empty()) pieces.push_back(piece);
  }
  return pieces;
}

}  // namespace

Painter::Painter() {
  for (std::size_t i = 0; i < kFragments.size(); ++i) programs_[i] = linked(kFragments[i]);
  glGenVertexArrays(1, &array_);
  glGenBuffers(1, &vertices_);
  glGenBuffers(1, &indices_);
  glBindVertexArray(array_);
  glBindBuffer(GL_ARRAY_BUFFER, vertices_);
  glBindBuffer(GL_ELEMENT_ARRAY_BUFFER, indices_);
  const auto attribute = [](GLuint at, GLint size, GLenum type, GLboolean normalized, std::size_t offset) {
    glEnableVertexAttribArray(at);
    glVertexAttribPointer(at, size, type, normalized, sizeof(ImDrawVert), reinterpret_cast<const void*>(offset));
  };
  attribute(0, 2, GL_FLOAT, GL_FALSE, offsetof(ImDrawVert, pos));
  attribute(1, 2, GL_FLOAT, GL_FALSE, offsetof(ImDrawVert, uv));
  attribute(2, 4, GL_UNSIGNED_BYTE, GL_TRUE, offsetof(ImDrawVert, col));
  glBindVertexArray(0);
}

Painter::~Painter() {
  for (const GLuint program : programs_) glDeleteProgram(program);
  glDeleteVertexArrays(1, &array_);
  glDeleteBuffers(1, &vertices_);
  glDeleteBuffers(1, &indices_);
}

Painter::Kind Painter::kind_of(const Primitive& one, long pixels) const {
  const ImFontAtlas& letters = *ImGui::GetIO().Fonts;
  if (one.texture != reinterpret_cast<std::uintptr_t>(letters.TexID))
    return all_vertices(one, [](const ImDrawVert& v) { return v.col == IM_COL32_WHITE; }) ? Kind::picture
                                                                                          : Kind::blended;
  const ImVec2 white = letters.TexUvWhitePixel;
  const bool plain = pixels >= kLarge && all_vertices(one, [white](const ImDrawVert& v) {
                       return v.col >> IM_COL32_A_SHIFT == 255 && v.uv.x == white.x && v.uv.y == white.y;
                     });
  return plain ? Kind::plain : Kind::blended;
}

bool Painter::collect(const std::vector<Primitive>& primitives, const PixelRect& part) {
  bool covered = false;
  const std::size_t first = draws_.size(), first_index = order_.size();
  for (const Primitive& one : primitives) {
    const PixelRect reached = common(one.bounds, part);
    if (reached.empty()) continue;
    const Kind kind = kind_of(one, reached.area());
    if (kind != Kind::blended && common(covered_by(one), part) == part) {
      draws_.erase(draws_.begin() + static_cast<std::ptrdiff_t>(first), draws_.end());
      order_.resize(first_index);
      covered = true;
    }
    const PixelRect scissor = common(one.clip, part);
    if (draws_.size() == first || draws_.back().kind != kind || draws_.back().texture != one.texture ||
        draws_.back().scissor != scissor)
      draws_.push_back({kind, one.texture, scissor, order_.size(), 0});
    for (int k = 0; k < one.count; ++k) order_.push_back(one.base + one.indices[k]);
    draws_.back().count += static_cast<std::size_t>(one.count);
  }
  return covered;
}

void Painter::run(const Draw& draw, int height) const {
  draw.kind == Kind::blended ? glEnable(GL_BLEND) : glDisable(GL_BLEND);
  glUseProgram(programs_[static_cast<std::size_t>(draw.kind)]);
  glBindTexture(GL_TEXTURE_2D, static_cast<GLuint>(draw.texture));
  scissor(draw.scissor, height);
  glDrawElements(GL_TRIANGLES, static_cast<GLsizei>(draw.count), GL_UNSIGNED_INT,
                 reinterpret_cast<const void*>(draw.first * sizeof(std::uint32_t)));
}

void Painter::paint(const ImDrawData& data, const std::vector<Primitive>& primitives, int width, int height,
                    std::uint32_t background, std::vector<PixelRect> parts) {
  if (parts.empty()) return;
  order_.clear(), draws_.clear();
  struct Part {
    PixelRect rect;
    bool covered;
    std::size_t end;
  };
  std::vector<Part> collected;
  // A large picture hides what lies below it in parts of its own.
  for (const Primitive& one : primitives)
    if (one.bounds.area() >= kPicture && kind_of(one, 0) == Kind::picture) parts = cut(parts, covered_by(one));
  for (const PixelRect& rect : parts) {
    const bool covered = collect(primitives, rect);
    collected.push_back({rect, covered, draws_.size()});
  }
  glBindVertexArray(array_);
  glBindBuffer(GL_ARRAY_BUFFER, vertices_);
  glBufferData(GL_ARRAY_BUFFER, data.TotalVtxCount * static_cast<GLsizeiptr>(sizeof(ImDrawVert)), nullptr,
               GL_STREAM_DRAW);
  GLintptr at = 0;
  for (int i = 0; i < data.CmdListsCount; ++i) {
    const auto size = static_cast<GLsizeiptr>(data.CmdLists[i]->VtxBuffer.size_in_bytes());
    glBufferSubData(GL_ARRAY_BUFFER, at, size, data.CmdLists[i]->VtxBuffer.Data);
    at += size;
  }
  glBufferData(GL_ELEMENT_ARRAY_BUFFER, static_cast<GLsizeiptr>(order_.size() * sizeof(std::uint32_t)), order_.data(),
               GL_STREAM_DRAW);
  const float left = data.DisplayPos.x, right = left + data.DisplaySize.x;
  const float top = data.DisplayPos.y, bottom = top + data.DisplaySize.y;
  float projection[16] = {};  // columns of the matrix
  projection[0] = 2 / (right - left), projection[5] = 2 / (top - bottom), projection[10] = -1, projection[15] = 1;
  projection[12] = (right + left) / (left - right), projection[13] = (top + bottom) / (bottom - top);
  for (const GLuint program : programs_) {
    glUseProgram(program);
    glUniformMatrix4fv(glGetUniformLocation(program, "projection"), 1, GL_FALSE, projection);
  }
  glViewport(0, 0, width, height);
  glBlendFuncSeparate(GL_SRC_ALPHA, GL_ONE_MINUS_SRC_ALPHA, GL_ONE, GL_ONE_MINUS_SRC_ALPHA);
  glEnable(GL_SCISSOR_TEST);
  const ImVec4 clear = ImGui::ColorConvertU32ToFloat4(background);
  glClearColor(clear.x, clear.y, clear.z, 1);
  std::size_t next = 0;
  for (const Part& part : collected) {
    scissor(part.rect, height);
    if (!part.covered) glClear(GL_COLOR_BUFFER_BIT);
    for (; next < part.end; ++next) run(draws_[next], height);
  }
  glDisable(GL_SCISSOR_TEST);
  glDisable(GL_BLEND);
  glBindVertexArray(0);
}

}  // namespace orrery::viewer::draw
