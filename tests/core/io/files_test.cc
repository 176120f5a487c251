// Atomic writes: the old file or the new one, nothing beside it, and whose fault a failure is.
#include "core/io/files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "core/base/error.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

using namespace orrery;

namespace {

Blame blame_of_writing(const std::filesystem::path& path, const std::string& bytes) {
  try {
    write_file(path, bytes);
  } catch (const Error& error) {
    INFO(error.what());
    CHECK(std::string(error.what()).find(path.filename().string()) != std::string::npos);
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return error.blame();
  }
  FAIL("writing succeeded");
  return Blame::ours;
}

}  // namespace

TEST_CASE("a file written is the file read and nothing else is left", "[files]") {
  const test::TemporaryFolder folder;
  const std::string bytes("a\0b\nc", 5);
  write_file(folder / "x", bytes);
  CHECK(read_file(folder / "x") == bytes);
  write_file(folder / "x", "");
  CHECK(read_file(folder / "x").empty());
  CHECK(MappedFile(folder / "x").bytes().empty());
  const std::string large(3'000'001, 'z');
  write_file(folder / "x", large);
  CHECK(read_file(folder / "x") == large);
  CHECK(MappedFile(folder / "x").bytes().size() == large.size());
  CHECK(folder.count() == 1);
}

TEST_CASE("an uncommitted file leaves the old one as it was", "[files]") {
  const test::TemporaryFolder folder;
  write_file(folder / "x", "old");
  {
    AtomicFile file(folder / "x");
    file.write("new");
    CHECK(read_file(folder / "x") == "old");
  }
  CHECK(read_file(folder / "x") == "old");
  CHECK(folder.count() == 1);
  AtomicFile file(folder / "x");
  file.write("new");
  file.commit();
  CHECK(read_file(folder / "x") == "new");
  CHECK_THROWS_AS(file.write("more"), Error);
  CHECK_THROWS_AS(file.commit(), Error);
}

TEST_CASE("permissions and symbolic links of the target are kept", "[files]") {
  const test::TemporaryFolder folder;
  write_file(folder / "x", "old");
  REQUIRE(::chmod((folder / "x").c_str(), 0640) == 0);
  std::filesystem::create_symlink("x", folder / "link");
  write_file(folder / "link", "new");
  CHECK(std::filesystem::is_symlink(folder / "link"));
  CHECK(read_file(folder / "x") == "new");
  struct stat status {};
  REQUIRE(::stat((folder / "x").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0640);
}

TEST_CASE("paths that cannot be read or written are the user's fault", "[files]") {
  const test::TemporaryFolder folder;
  CHECK_THROWS_AS(read_file(folder / "missing"), InputError);
  CHECK_THROWS_AS(read_file(folder.path()), InputError);
  CHECK_THROWS_AS(MappedFile(folder / "missing"), InputError);
  CHECK_THROWS_AS(MappedFile(folder.path()), InputError);
  CHECK_THROWS_AS(read_file("/dev/null"), InputError);
  CHECK(blame_of_writing(folder / "no/such/folder", "x") == Blame::input);
  CHECK(blame_of_writing(folder.path(), "x") == Blame::input);
  write_file(folder / "file", "");
  CHECK(blame_of_writing(folder / "file/below", "x") == Blame::input);
  CHECK_THROWS_AS(write_file("", "x"), InputError);
  CHECK_THROWS_AS(write_file(folder.path() / "", "x"), InputError);
}

TEST_CASE("a full disk is our fault and leaves nothing behind", "[files]") {
  CHECK(blame_of_writing("/dev/full", "x") == Blame::ours);
  // A limit on the file's size stands in for a full file system: the write fails half way.
  const test::TemporaryFolder folder;
  write_file(folder / "x", "old");
  struct rlimit before {};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  struct rlimit small = before;
  small.rlim_cur = 4096;
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const Blame blame = blame_of_writing(folder / "x", std::string(10'000, 'z'));
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  ::signal(SIGXFSZ, handler);
  CHECK(blame == Blame::ours);
  CHECK(read_file(folder / "x") == "old");
  CHECK(folder.count() == 1);
}
