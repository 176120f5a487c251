// The prompt line: who makes the world, what should happen, the seed.
#include <imgui.h>

#include "viewer/panels/layout.h"
#include "viewer/panels/parts.h"

namespace orrery::viewer::panels {

namespace {

int grow(ImGuiInputTextCallbackData* data) {
  if (data->EventFlag != ImGuiInputTextFlags_CallbackResize) return 0;
  auto* text = static_cast<std::string*>(data->UserData);
  text->resize(static_cast<std::size_t>(data->BufTextLen));
  data->Buf = text->data();
  return 0;
}

// True when Enter was pressed.
bool prompt_line(Session& session) {
  std::string& text = session.form.prompt;
  const bool entered = ImGui::InputTextWithHint(
      "##prompt", "What should happen? For example: two balls collide", text.data(), text.capacity() + 1,
      ImGuiInputTextFlags_EnterReturnsTrue | ImGuiInputTextFlags_CallbackResize | ImGuiInputTextFlags_AutoSelectAll,
      grow, &text);
  parts::mark(session, "prompt");
  parts::tooltip(
      "What should happen, in words. Enter makes it from the start; N goes on with these words from the frame "
      "that is shown.");
  return entered;
}

}  // namespace

void draw_top_bar(Session& session, float scale) {
  using parts::Tone;
  const float gap = 6 * scale;
  ImGui::SetCursorPosY(ImGui::GetCursorPosY() + 3 * scale);
  Form& form = session.form;
  if (parts::choice(session, "Model", "model", form.maker == Maker::model,
                    session.model_available()
                        ? "The trained model makes what you type, the physics engine beside it: G "
                          "shows its truth. " +
                              session.model_folder()
                        : session.no_model())) {
    if (session.model_available()) {
      form.maker = Maker::model;
    } else {
      session.notify(Notice::Kind::warning, session.no_model());
    }
  }
  ImGui::SameLine(0, 2 * scale);
  if (parts::choice(session, "Engine", "engine", form.maker == Maker::engine,
                    "The physics engine alone makes what you type: the truth"))
    form.maker = Maker::engine;
  ImGui::SameLine(0, 2 * gap);
  const float right = 346 * scale;
  ImGui::SetNextItemWidth(std::max(120 * scale, ImGui::GetContentRegionAvail().x - right));
  bool start = prompt_line(session);
  ImGui::SameLine(0, gap);
  start |= parts::button(session, "Make it", "make", "Makes the world of these words from its start", "Enter", true);
  ImGui::SameLine(0, 2 * gap);
  ImGui::AlignTextToFramePadding();
  ImGui::TextDisabled("seed");
  ImGui::SameLine(0, gap);
  ImGui::SetNextItemWidth(110 * scale);
  const std::uint64_t one = 1;
  ImGui::InputScalar("##seed", ImGuiDataType_U64, &form.seed, &one, nullptr, "%llu");
  form.seed &= (std::uint64_t{1} << 62) - 1;
  parts::mark(session, "seed");
  parts::tooltip("The same words and seed make the same world. A new seed at a paused frame: press N for a branch.");
  ImGui::SameLine(0, 2 * gap);
  if (parts::button(session, "Open...", "open",
                    "A video, a picture or a folder of clips; you may also drop them on the window", "Ctrl+O"))
    session.run(Command::open);
  ImGui::SameLine(0, gap);
  if (parts::button(session, "?", "help", "All keys", "F1")) session.run(Command::help);
  if (start) session.start_prompt();
}

}  // namespace orrery::viewer::panels
