// What makes a program's op cases run on Device::cuda: a card's (prepare_card.cc) or its CPU twin (prepare_on_host.cc).
#pragma once

namespace orrery::test {

/// Sets device_under_test(). False, after one line that says why, where the machine has no such device.
bool prepare_device();

}  // namespace orrery::test
