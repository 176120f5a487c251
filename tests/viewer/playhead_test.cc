// The clock of playback.
#include "viewer/state/playhead.h"

#include "tests/support/catch.h"
#include "viewer/state/keys.h"

using namespace orrery::viewer;

TEST_CASE("the playhead moves at the reel's rate, times its speed", "[playhead]") {
  Playhead head;
  head.set_range(0, 100, 25, false);
  head.tick(1);
  CHECK(head.frame() == 0);  // paused
  head.play();
  head.tick(1);
  CHECK(head.frame() == 25);
  head.faster();
  head.tick(1);
  CHECK(head.frame() == 75);
  head.slower();
  head.slower();
  head.tick(1);
  CHECK(head.frame() == 87);
  for (int i = 0; i < 10; ++i) head.faster();
  CHECK(head.speed() == 8);
  for (int i = 0; i < 10; ++i) head.slower();
  CHECK(head.speed() == 0.125);
}

TEST_CASE("at the end a clip starts over or stops, a growing one waits and goes on", "[playhead]") {
  Playhead head;
  head.set_range(0, 10, 10, false);
  head.play();
  head.tick(1.25);
  CHECK(head.frame() == 2);
  head.loop = false;
  head.tick(2);
  CHECK(head.frame() == 9);
  CHECK_FALSE(head.playing());
  head.play();  // from the end: from the start
  CHECK(head.frame() == 0);

  Playhead growing;
  growing.set_range(0, 10, 10, true);
  growing.play();
  growing.tick(5);
  CHECK(growing.frame() == 9);
  CHECK(growing.playing());
  CHECK(growing.at_edge());
  growing.set_range(0, 12, 10, true);
  growing.tick(0.1);
  CHECK(growing.frame() == 10);
}

TEST_CASE("steps pause and stay in range, also when old frames are forgotten", "[playhead]") {
  Playhead head;
  head.set_range(0, 10, 10, false);
  head.play();
  head.step(3);
  CHECK(head.frame() == 3);
  CHECK_FALSE(head.playing());
  head.step(-10);
  CHECK(head.frame() == 0);
  head.step(100);
  CHECK(head.frame() == 9);
  head.seek(4);
  head.set_range(6, 20, 10, true);
  CHECK(head.frame() == 6);
  head.rewind();
  CHECK(head.frame() == 6);
  head.to_end();
  CHECK(head.frame() == 19);
  CHECK(head.playing());
}

TEST_CASE("no key stands for two commands, and each is named", "[keys]") {
  const auto all = bindings();
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(*all[i].keys != '\0');
    CHECK(*all[i].what != '\0');
    CHECK(command_of(all[i].press) == all[i].command);
    for (std::size_t j = 0; j < i; ++j) CHECK_FALSE(all[i].press == all[j].press);
  }
  CHECK_FALSE(command_of({letter('Y')}).has_value());
}
