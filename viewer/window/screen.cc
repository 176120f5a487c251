#include "viewer/window/screen.h"

#include <GLFW/glfw3.h>
#include <imgui.h>
#include <imgui/backends/imgui_impl_glfw.h>
#include <imgui/backends/imgui_impl_opengl3.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "core/base/error.h"
#include "core/base/log.h"
#include "viewer/draw/kept_window.h"
#include "viewer/panels/parts.h"

namespace orrery::viewer {

namespace {

constexpr float kFontSize = 15.5f;

std::string glfw_reason() {
  const char* text = nullptr;
  glfwGetError(&text);
  return text == nullptr ? "no reason given" : text;
}

constexpr std::array<std::pair<int, Key>, 22> kKeys = {{{GLFW_KEY_LEFT, Key::left},
                                                        {GLFW_KEY_RIGHT, Key::right},
                                                        {GLFW_KEY_UP, Key::up},
                                                        {GLFW_KEY_DOWN, Key::down},
                                                        {GLFW_KEY_HOME, Key::home},
                                                        {GLFW_KEY_END, Key::end},
                                                        {GLFW_KEY_ENTER, Key::enter},
                                                        {GLFW_KEY_ESCAPE, Key::escape},
                                                        {GLFW_KEY_TAB, Key::tab},
                                                        {GLFW_KEY_MINUS, Key::minus},
                                                        {GLFW_KEY_EQUAL, Key::plus},
                                                        {GLFW_KEY_LEFT_BRACKET, Key::open_bracket},
                                                        {GLFW_KEY_RIGHT_BRACKET, Key::close_bracket},
                                                        {GLFW_KEY_F1, Key::f1},
                                                        {GLFW_KEY_F2, Key::f2},
                                                        {GLFW_KEY_F3, Key::f3},
                                                        {GLFW_KEY_F4, Key::f4},
                                                        {GLFW_KEY_F5, Key::f5},
                                                        {GLFW_KEY_KP_ADD, Key::plus},
                                                        {GLFW_KEY_KP_SUBTRACT, Key::minus},
                                                        {GLFW_KEY_PAGE_UP, Key::page_up},
                                                        {GLFW_KEY_PAGE_DOWN, Key::page_down}}};

// GLFW's letters, digits and space are ASCII, as ours are, and named after a US keyboard: on another one, what is
// printed on the key counts, as F1 names it.
Key key_of(int glfw) {
  const char* printed = glfwGetKeyName(glfw, 0);
  if (printed != nullptr && printed[0] != '\0' && printed[1] == '\0') {
    const char c = printed[0];
    if (c >= 'a' && c <= 'z') return letter(static_cast<char>(c - 'a' + 'A'));
    if (c == '+' || c == '-') return letter(c);
  }
  for (const auto& [code, key] : kKeys)
    if (code == glfw) return key;
  return glfw > 0 && glfw < 128 ? static_cast<Key>(glfw) : Key::none;
}

int glfw_of(Key key) {
  for (const auto& [code, ours] : kKeys)
    if (ours == key) return code;
  return static_cast<int>(key);
}

class Textures : public TextureSource {
 public:
  ~Textures() override { clear(); }
  void clear() {
    for (const auto& [slot, entry] : entries_) glDeleteTextures(1, &entry.id);
    entries_.clear();
  }
  std::uintptr_t texture(int slot, const Picture& picture, bool smooth) override {
    Entry& entry = entries_[slot];
    if (entry.id == 0) glGenTextures(1, &entry.id);
    if (entry.picture == picture && entry.smooth == smooth) return entry.id;
    glBindTexture(GL_TEXTURE_2D, entry.id);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_LINEAR);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MAG_FILTER, smooth ? GL_LINEAR : GL_NEAREST);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_WRAP_S, GL_CLAMP_TO_EDGE);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_WRAP_T, GL_CLAMP_TO_EDGE);
    glPixelStorei(GL_UNPACK_ALIGNMENT, 1);
    const bool same_size =
        entry.picture && entry.picture->width() == picture->width() && entry.picture->height() == picture->height();
    if (same_size) {
      glTexSubImage2D(GL_TEXTURE_2D, 0, 0, 0, picture->width(), picture->height(), GL_RGB, GL_UNSIGNED_BYTE,
                      picture->bytes().data());
    } else {
      glTexImage2D(GL_TEXTURE_2D, 0, GL_RGB8, picture->width(), picture->height(), 0, GL_RGB, GL_UNSIGNED_BYTE,
                   picture->bytes().data());
    }
    glPixelStorei(GL_UNPACK_ALIGNMENT, 4);
    entry.picture = picture, entry.smooth = smooth;
    return entry.id;
  }
  const Frame* picture_of(std::uintptr_t texture) const {
    for (const auto& [slot, entry] : entries_)
      if (entry.id == texture) return entry.picture.get();
    return nullptr;
  }

 private:
  struct Entry {
    GLuint id = 0;
    Picture picture;
    bool smooth = false;
  };
  std::map<int, Entry> entries_;
};

void add_fonts(float scale) {
  ImGuiIO& io = ImGui::GetIO();
  static const ImWchar kRanges[] = {0x20, 0x24F, 0x370, 0x52F, 0x2010, 0x205E, 0x2190, 0x21FF, 0};
  for (const char* path : {"/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", "/usr/share/fonts/TTF/DejaVuSans.ttf",
                           "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf"}) {
    std::error_code error;
    if (!std::filesystem::exists(path, error)) continue;
    if (io.Fonts->AddFontFromFileTTF(path, kFontSize * scale, nullptr, kRanges) != nullptr) return;
  }
  log_warning("no DejaVu font (package fonts-dejavu-core): the window's letters are coarse");
  ImFontConfig config;
  config.SizePixels = 13 * std::max(1.0f, scale);
  io.Fonts->AddFontDefault(&config);
}

}  // namespace

struct Screen::State {
  GLFWwindow* window = nullptr;
  float scale = 1, enlarged = 1;  // enlarged: by GLFW at creation, where a window is measured in pixels
  Textures textures;
  std::unique_ptr<draw::KeptWindow> kept;  // null: drawn as a whole each time
  Incoming incoming;
  std::vector<int> held;  // injected keys to be released
  bool pointer = false, down = false;
  float x = 0, y = 0;
  int styled = -1;  // the theme that is set
  std::array<int, 4> windowed{};

  static State& of(GLFWwindow* window) { return *static_cast<State*>(glfwGetWindowUserPointer(window)); }
  static void on_key(GLFWwindow* window, int key, int scancode, int action, int mods);
  static void on_refresh(GLFWwindow* window);
  static void on_drop(GLFWwindow* window, int count, const char** paths);
};

void Screen::State::on_key(GLFWwindow* window, int key, int, int action, int mods) {
  if (action == GLFW_RELEASE) return;
  const KeyPress press{key_of(key), (mods & GLFW_MOD_SHIFT) != 0, (mods & GLFW_MOD_CONTROL) != 0};
  const bool writing = ImGui::GetIO().WantTextInput;
  const bool always = (press.key >= Key::f1 && press.key <= Key::f5) || press.key == Key::escape;
  if (!writing || always) of(window).incoming.presses.push_back(press);
}

// What lay on the screen may be lost.
void Screen::State::on_refresh(GLFWwindow* window) {
  if (of(window).kept) of(window).kept->forget();
}

void Screen::State::on_drop(GLFWwindow* window, int count, const char** paths) {
  for (int i = 0; i < count; ++i) of(window).incoming.dropped.emplace_back(paths[i]);
}

Screen::Screen(int width, int height, float scale) : state_(std::make_unique<State>()) {
#ifdef GLFW_PLATFORM  // GLFW 3.4 asks for Wayland first, whose library complains on stderr where it cannot be
  if (std::getenv("XDG_RUNTIME_DIR") == nullptr) glfwInitHint(GLFW_PLATFORM, GLFW_PLATFORM_X11);
#endif
  ORRERY_CHECK(glfwInit() == GLFW_TRUE, "no window: ", glfw_reason(), "; without a display, xvfb-run gives one");
  glfwWindowHint(GLFW_CONTEXT_VERSION_MAJOR, 3);
  glfwWindowHint(GLFW_CONTEXT_VERSION_MINOR, 3);
  glfwWindowHint(GLFW_OPENGL_PROFILE, GLFW_OPENGL_CORE_PROFILE);
  glfwWindowHint(GLFW_OPENGL_FORWARD_COMPAT, GLFW_TRUE);
  glfwWindowHint(GLFW_SCALE_TO_MONITOR, GLFW_TRUE);
  state_->window = glfwCreateWindow(width, height, "Orrery", nullptr, nullptr);
  if (state_->window == nullptr) {
    const std::string reason = glfw_reason();
    glfwTerminate();
    throw InputError("no window: OpenGL 3.3 is needed (" + reason + ")");
  }
  glfwSetWindowUserPointer(state_->window, state_.get());
  glfwMakeContextCurrent(state_->window);
  glfwSwapInterval(1);
  float x = 1, y = 1;
  glfwGetWindowContentScale(state_->window, &x, &y);
  state_->scale = std::clamp(x * scale, 0.5f, 4.0f);
  int window_width = 0, window_height = 0, pixels_across = 0, pixels_down = 0;
  glfwGetWindowSize(state_->window, &window_width, &window_height);
  glfwGetFramebufferSize(state_->window, &pixels_across, &pixels_down);
  if (window_width == pixels_across) state_->enlarged = std::max(x, 0.1f);
  glfwSetKeyCallback(state_->window, State::on_key);  // Dear ImGui's hands on to it
  glfwSetDropCallback(state_->window, State::on_drop);
  IMGUI_CHECKVERSION();
  ImGui::CreateContext();
  ImGui::GetIO().IniFilename = nullptr;
  add_fonts(state_->scale);
  ImGui_ImplGlfw_InitForOpenGL(state_->window, true);
  ImGui_ImplOpenGL3_Init("#version 330");
  state_->kept = draw::KeptWindow::make(state_->window);
  glfwSetWindowRefreshCallback(state_->window, State::on_refresh);
}

Screen::~Screen() {
  state_->kept.reset();
  state_->textures.clear();
  ImGui_ImplOpenGL3_Shutdown();
  ImGui_ImplGlfw_Shutdown();
  ImGui::DestroyContext();
  glfwDestroyWindow(state_->window);
  glfwTerminate();
}

Incoming Screen::poll(double wait_seconds) {
  if (wait_seconds > 0) {
    glfwWaitEventsTimeout(wait_seconds);
  } else {
    glfwPollEvents();
  }
  Incoming incoming = std::exchange(state_->incoming, {});
  incoming.close = glfwWindowShouldClose(state_->window) != 0;
  return incoming;
}

void Screen::inject(const KeyPress& press) {
  const int mods = (press.shift ? GLFW_MOD_SHIFT : 0) | (press.ctrl ? GLFW_MOD_CONTROL : 0);
  const int key = glfw_of(press.key);
  ImGui_ImplGlfw_KeyCallback(state_->window, key, 0, GLFW_PRESS, mods);
  state_->held.push_back(key);
}

void Screen::inject_text(const std::string& text) { ImGui::GetIO().AddInputCharactersUTF8(text.c_str()); }

void Screen::inject_pointer(float x, float y, bool down) {
  state_->pointer = true;
  state_->x = x, state_->y = y, state_->down = down;
}

void Screen::inject_drop(const std::vector<std::string>& paths) {
  std::vector<const char*> raw;
  for (const std::string& path : paths) raw.push_back(path.c_str());
  State::on_drop(state_->window, static_cast<int>(raw.size()), raw.data());
}

void Screen::begin_frame(bool dark) {
  if (std::exchange(state_->styled, dark ? 1 : 0) != (dark ? 1 : 0)) set_style(dark, state_->scale);
  ImGui_ImplOpenGL3_NewFrame();
  ImGui_ImplGlfw_NewFrame();
  if (state_->pointer) {
    ImGuiIO& io = ImGui::GetIO();
#if IMGUI_VERSION_NUM >= 18700
    io.AddMousePosEvent(state_->x, state_->y);
    io.AddMouseButtonEvent(0, state_->down);
#else
    io.MousePos = ImVec2(state_->x, state_->y);
    io.MouseDown[0] = state_->down;
#endif
  }
  ImGui::NewFrame();
  for (const int key : std::exchange(state_->held, {}))
    ImGui_ImplGlfw_KeyCallback(state_->window, key, 0, GLFW_RELEASE, 0);
}

void Screen::end_frame(bool dark) {
  ImGui::Render();
  int width = 0, height = 0;
  glfwGetFramebufferSize(state_->window, &width, &height);
  const std::uint32_t background = parts::tone(dark, parts::Tone::stage);
  if (state_->kept) {
    state_->kept->draw(*ImGui::GetDrawData(), width, height, background,
                       [this](std::uintptr_t texture) { return state_->textures.picture_of(texture); });
    glFinish();
  } else {
    draw_whole(dark);
  }
}

void Screen::draw_whole(bool dark) {
  int width = 0, height = 0;
  glfwGetFramebufferSize(state_->window, &width, &height);
  glViewport(0, 0, width, height);
  const ImVec4 back = ImGui::ColorConvertU32ToFloat4(parts::tone(dark, parts::Tone::stage));
  glClearColor(back.x, back.y, back.z, 1);
  glClear(GL_COLOR_BUFFER_BIT);
  ImGui_ImplOpenGL3_RenderDrawData(ImGui::GetDrawData());
  glFinish();
}

Frame Screen::read() const {
  int width = 0, height = 0;
  glfwGetFramebufferSize(state_->window, &width, &height);
  Frame upside_down(width, height), frame(width, height);
  glPixelStorei(GL_PACK_ALIGNMENT, 1);
  glReadPixels(0, 0, width, height, GL_RGB, GL_UNSIGNED_BYTE, upside_down.bytes().data());
  for (int y = 0; y < height; ++y) std::copy_n(upside_down.row(height - 1 - y), width * 3, frame.row(y));
  return frame;
}

void Screen::show() { state_->kept ? state_->kept->show() : glfwSwapBuffers(state_->window); }
double Screen::drawn_share() const { return state_->kept ? state_->kept->drawn_share() : 1; }
void Screen::hide() { glfwHideWindow(state_->window); }
void Screen::set_title(const std::string& title) { glfwSetWindowTitle(state_->window, title.c_str()); }
void Screen::size(int& width, int& height) const {
  glfwGetWindowSize(state_->window, &width, &height);
  width = static_cast<int>(std::lround(static_cast<float>(width) / state_->enlarged));
  height = static_cast<int>(std::lround(static_cast<float>(height) / state_->enlarged));
}
TextureSource& Screen::textures() { return state_->textures; }
float Screen::scale() const { return state_->scale; }

void Screen::set_full_screen(bool on) {
  if ((glfwGetWindowMonitor(state_->window) != nullptr) == on) return;
  auto& [x, y, width, height] = state_->windowed;
  if (!on) return glfwSetWindowMonitor(state_->window, nullptr, x, y, width, height, GLFW_DONT_CARE);
  GLFWmonitor* monitor = glfwGetPrimaryMonitor();
  if (monitor == nullptr) return;
  glfwGetWindowPos(state_->window, &x, &y);
  glfwGetWindowSize(state_->window, &width, &height);
  const GLFWvidmode* mode = glfwGetVideoMode(monitor);
  glfwSetWindowMonitor(state_->window, monitor, 0, 0, mode->width, mode->height, mode->refreshRate);
}

}  // namespace orrery::viewer
