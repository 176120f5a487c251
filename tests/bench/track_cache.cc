#include "tests/bench/track_cache.h"

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <type_traits>
#include <vector>

namespace orrery {

namespace {

struct Out {
  std::ofstream file;
  template <class T>
  requires std::is_trivially_copyable_v<T>
  void operator()(const T& value) { file.write(reinterpret_cast<const char*>(&value), sizeof value); }
  void operator()(const std::string& text) {
    (*this)(text.size());
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
  }
  template <class T>
  void operator()(const std::vector<T>& list) {
    (*this)(list.size());
    for (const T& item : list) (*this)(item);
  }
  void operator()(const Track& t) {
    (*this)(t.id), (*this)(t.colour), (*this)(t.colour_word), (*this)(t.area), (*this)(t.moves), (*this)(t.frames);
  }
  void operator()(const ColourArea& c) {
    (*this)(c.colour), (*this)(c.in_background), (*this)(c.area), (*this)(c.x), (*this)(c.y);
  }
  void operator()(const Frame& frame) {
    (*this)(frame.width()), (*this)(frame.height());
    file.write(reinterpret_cast<const char*>(frame.bytes().data()), static_cast<std::streamsize>(frame.bytes().size()));
  }
};

struct In {
  std::ifstream file;
  template <class T>
  requires std::is_trivially_copyable_v<T>
  void operator()(T& value) { file.read(reinterpret_cast<char*>(&value), sizeof value); }
  void operator()(std::string& text) {
    std::size_t size = 0;
    (*this)(size);
    text.resize(size);
    file.read(text.data(), static_cast<std::streamsize>(size));
  }
  template <class T>
  void operator()(std::vector<T>& list) {
    std::size_t size = 0;
    (*this)(size);
    list.resize(size);
    for (T& item : list) (*this)(item);
  }
  void operator()(Track& t) {
    (*this)(t.id), (*this)(t.colour), (*this)(t.colour_word), (*this)(t.area), (*this)(t.moves), (*this)(t.frames);
  }
  void operator()(ColourArea& c) {
    (*this)(c.colour), (*this)(c.in_background), (*this)(c.area), (*this)(c.x), (*this)(c.y);
  }
  void operator()(Frame& frame) {
    int width = 0, height = 0;
    (*this)(width), (*this)(height);
    if (width == 0) return;
    frame = Frame(width, height);
    file.read(reinterpret_cast<char*>(frame.bytes().data()), static_cast<std::streamsize>(frame.bytes().size()));
  }
};

template <class Stream, class T>
void each(Stream& stream, T& tracks) {
  stream(tracks.width), stream(tracks.height), stream(tracks.scale), stream(tracks.fps), stream(tracks.tracks);
  stream(tracks.background), stream(tracks.noise), stream(tracks.lines), stream(tracks.colours);
  stream(tracks.foreground), stream(tracks.reason);
}

template <class Stream, class T>
void each_pair(Stream& stream, T& pair) {
  stream(pair.scene), stream(pair.kind), stream(pair.broken_at), stream(pair.shown_at), stream(pair.departs);
  stream(pair.observable);
  each(stream, pair.lawful), each(stream, pair.twin);
}

}  // namespace

bool load_pair(const std::string& path, BenchPair& pair) {
  In in{std::ifstream(path, std::ios::binary)};
  if (!in.file) return false;
  each_pair(in, pair);
  return in.file.good();
}

void save_pair(const std::string& path, const BenchPair& pair) {
  {
    Out out{std::ofstream(path + ".part", std::ios::binary)};
    each_pair(out, pair);
  }
  std::rename((path + ".part").c_str(), path.c_str());
}

}  // namespace orrery
