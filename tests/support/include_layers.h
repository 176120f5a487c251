// Who may include whom: the table of docs/architecture.md as data, and a scan that names each breach.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::house {

/// One line for each include in `text` that the file `path` (from the repository's root, with '/') may not have, and
/// for each preprocessor condition on a back end outside the back ends. Empty for a clean file and for one outside the
/// layers (tests/, docs/). A source file in a folder of no layer is itself a breach.
std::vector<std::string> breaches_of(std::string_view path, std::string_view text);

/// One line for each include of a header that brings a vendor's header with it, from outside that header's layer. Such
/// a header is private to its layer, as a bridge between two versions of a library is. Paths → texts.
std::vector<std::string> vendor_leaks(const std::map<std::string, std::string>& files);

/// vendor_leaks, and breaches_of every .h, .cc and .cu under `root` (build folders and hidden ones left out); `count`:
/// how many.
std::vector<std::string> scan_tree(const std::string& root, int& count);

}  // namespace orrery::house
