// JSON and TOML: strict reading, typed fields, and errors that name file, field and place.
#include <limits>

#include "core/base/error.h"
#include "core/io/fields.h"
#include "core/io/json.h"
#include "core/io/toml.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

/// The message that refusing `text` gives.
std::string refusal(const std::string& text, Json (*parse)(std::string_view, const std::string&) = Json::parse) {
  try {
    parse(text, "f.json");
  } catch (const InputError& error) {
    const std::string message = error.what();
    CHECK(message.find('\n') == std::string::npos);
    CHECK(message.rfind("f.json", 0) == 0);
    return message;
  }
  return "accepted";
}

}  // namespace

TEST_CASE("JSON text survives a round trip", "[json]") {
  const std::string text =
      R"({"b":[1,-2,2.5,1e+300,0.1,true,false,null,"a\"\\\n\u0001é😀"],"a":{},"c":[],"big":9223372036854775807,"one":1.0})";
  const Json json = Json::parse(text, "t");
  CHECK(json.dump() == text);
  CHECK(Json::parse(json.dump(2), "t") == json);
  CHECK(json.find("b")->as_array()[8].as_string() == "a\"\\\n\x01é😀");
  CHECK(json.find("big")->as_integer() == std::numeric_limits<std::int64_t>::max());
  CHECK(json.find("one")->is_integer() == false);
  CHECK(json.find("none") == nullptr);
  CHECK(Json::parse("18446744073709551615", "t").as_number() == 18446744073709551615.0);
  CHECK(Json::parse(" 3 ", "t").as_integer() == 3);
}

TEST_CASE("JSON values are built and written", "[json]") {
  Json json = Json::object(
      {{"seed", 42}, {"prompt", "a red ball"}, {"scale", 0.5F}, {"on", true}, {"sizes", std::vector<int>{1, 2}}});
  json.set("seed", 43U);
  json.set("list", Json());
  json.find("list")->push_back("x");
  CHECK(json.dump() == R"({"seed":43,"prompt":"a red ball","scale":0.5,"on":true,"sizes":[1,2],"list":["x"]})");
  CHECK(Json::object({{"a", Json::Array{1, 2}}}).dump(2) == "{\n  \"a\": [\n    1,\n    2\n  ]\n}");
  CHECK_THROWS_AS(Json(std::numeric_limits<double>::quiet_NaN()).dump(), Error);
  CHECK_THROWS_AS(Json("\xff").dump(), Error);
  CHECK_THROWS_AS(Json(std::numeric_limits<std::uint64_t>::max()), Error);
  CHECK_THROWS_WITH(json.as_integer(), "expected an integer, found an object");
}

TEST_CASE("JSON that is not strict is refused with its place", "[json]") {
  CHECK_THAT(refusal("{\"a\": 1,\n \"b\" 2}"), ContainsSubstring("line 2, column 6"));
  CHECK_THAT(refusal("{\"a\": 1, \"a\": 2}"), ContainsSubstring("\"a\" appears twice"));
  CHECK_THAT(refusal("{\"a\": 1} x"), ContainsSubstring("not valid JSON"));
  CHECK_THAT(refusal("\xEF\xBB\xBF{}"), ContainsSubstring("byte order mark"));
  CHECK_THAT(refusal(std::string(300, '[')), ContainsSubstring("levels deep"));
  for (const char* text : {"", "{", "[1,]", "{'a': 1}", "nul", "01", "1.", "NaN", "\"\xff\"", "\"\xed\xa0\x80\"",
                           "\"\\ud800\"", "\"\n\"", "1e999", "// c\n1"}) {
    INFO(text);
    CHECK(refusal(text) != "accepted");
  }
  CHECK_THROWS_AS(Json::read("/no/such/file"), InputError);
}

TEST_CASE("UTF-8 is checked to the letter", "[json]") {
  CHECK(find_invalid_utf8("aé€😀\xF4\x8F\xBF\xBF") == std::string_view::npos);
  for (const char* bad : {"\x80", "\xc0\xaf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
                          "\xf5\x80\x80\x80", "\xe2\x82", "\xc3"}) {
    CHECK(find_invalid_utf8("ab" + std::string(bad)) == 2);
  }
}

TEST_CASE("fields are typed, ranged and have fallbacks", "[fields]") {
  const Json json = Json::parse(
      R"({"layers": 4, "lr": 1e-3, "steps": 1e3, "on": true, "name": "x", "kind": "moe", "sizes": [1, 2], "w": [0.5, 1], "none": null,
                                    "names": ["a"], "sub": {"depth": 2}, "list": [{"k": 1}, {"k": 2}]})",
      "t");
  const Fields fields(json, "config.json");
  CHECK(fields.integer("layers", {1, 8}) == 4);
  CHECK(fields.integer("steps") == 1000);
  CHECK(fields.integer_or("none", 7) == 7);
  CHECK(fields.integer_or("absent", 7) == 7);
  CHECK(fields.number("lr") == 1e-3);
  CHECK(fields.number("layers") == 4.0);
  CHECK(fields.number_or("absent", 0.5) == 0.5);
  CHECK(fields.boolean("on"));
  CHECK(fields.boolean_or("absent", true));
  CHECK(fields.text("name") == "x");
  CHECK(fields.text_or("absent", "y") == "y");
  CHECK(fields.choice("kind", {"dense", "moe"}) == "moe");
  CHECK(fields.choice_or("absent", {"dense", "moe"}, "dense") == "dense");
  CHECK(fields.integers("sizes") == std::vector<std::int64_t>{1, 2});
  CHECK(fields.numbers("w") == std::vector<double>{0.5, 1});
  CHECK(fields.texts("names") == std::vector<std::string>{"a"});
  CHECK(fields.object("sub").integer("depth") == 2);
  CHECK(fields.objects("list")[1].integer("k") == 2);
  CHECK(fields.objects("list")[0].integer("k") == 1);
  CHECK(fields.unknown().empty());
  CHECK_NOTHROW(fields.refuse_unknown());
  CHECK_FALSE(fields.has("none"));
}

TEST_CASE("a field that does not fit names itself and what was expected", "[fields]") {
  const Json json = Json::parse(
      R"({"layers": 0, "lr": "fast", "half": 1.5, "kind": "mow", "sizes": [1, "b"], "sub": {"depth": true}, "list": [{"k": null}], "obj": 3})",
      "t");
  const Fields fields(json, "config.json");
  CHECK_THROWS_WITH(fields.integer("layers", {1, 8}), "config.json: layers is 0, expected an integer from 1 to 8");
  CHECK_THROWS_WITH(fields.integer("layers", {1}), "config.json: layers is 0, expected an integer of at least 1");
  CHECK_THROWS_WITH(fields.number("lr", {0, 1}), "config.json: lr is \"fast\", expected a number from 0 to 1");
  CHECK_THROWS_WITH(fields.integer("half"), "config.json: half is 1.5, expected an integer");
  CHECK_THROWS_WITH(fields.text("half"), "config.json: half is 1.5, expected a string");
  CHECK_THROWS_WITH(fields.boolean("half"), "config.json: half is 1.5, expected true or false");
  CHECK_THROWS_WITH(fields.choice("kind", {"dense", "moe"}),
                    "config.json: kind is \"mow\", expected one of dense, moe (did you mean \"moe\"?)");
  CHECK_THROWS_WITH(fields.integers("sizes"), "config.json: sizes[1] is \"b\", expected an integer");
  CHECK_THROWS_WITH(fields.texts("sizes"), "config.json: sizes[0] is 1, expected a string");
  CHECK_THROWS_WITH(fields.integers("half"), "config.json: half is 1.5, expected an array of integers");
  CHECK_THROWS_WITH(fields.object("sub").integer("depth"), "config.json: sub.depth is true, expected an integer");
  CHECK_THROWS_WITH(fields.objects("list")[0].integer("k"), "config.json: list[0].k is missing");
  CHECK_THROWS_WITH(fields.object("obj"), "config.json: obj is 3, expected an object of named fields");
  CHECK_THROWS_WITH(fields.objects("obj"), "config.json: obj is 3, expected an array of objects");
  CHECK_THROWS_WITH(Fields(json, "f").integer("layer"), "f: layer is missing (did you mean \"layers\"?)");
  CHECK_THROWS_AS(Fields(Json(3), "f"), InputError);
}

TEST_CASE("fields that nobody asked for are named with the nearest known one", "[fields]") {
  const Json json = parse_toml("learning_rte = 1e-3\nsteps = 5\n[codec]\nlevel = [8, 8]\nwidth = 3\n", "train.toml");
  const Fields fields(json, "train.toml");
  fields.number_or("learning_rate", 1e-4);
  fields.integer("steps");
  fields.object("codec").integer("width");
  fields.object("codec").has("levels");
  CHECK(fields.unknown() == std::vector<std::string>{"learning_rte", "codec.level"});
  CHECK_THROWS_WITH(fields.refuse_unknown(),
                    "train.toml: unknown fields learning_rte (did you mean \"learning_rate\"?), codec.level (did you "
                    "mean \"levels\"?)");
  CHECK(did_you_mean("zebra", {"window", "heads"}).empty());
}

TEST_CASE("TOML is read into values", "[toml]") {
  const Json json =
      parse_toml("a = 1\nb = 1.5\nc = 'x'\nd = [true, false]\n[e]\nf = {g = 0x10}\n[[h]]\ni = 1\n[[h]]\ni = 2\n", "t");
  CHECK(json.find("a")->as_integer() == 1);
  CHECK(json.find("b")->as_number() == 1.5);
  CHECK(json.find("c")->as_string() == "x");
  CHECK(json.find("d")->as_array().size() == 2);
  CHECK(json.find("e")->find("f")->find("g")->as_integer() == 16);
  CHECK(json.find("h")->as_array()[1].find("i")->as_integer() == 2);
  CHECK_THAT(refusal("a = \n", parse_toml), ContainsSubstring("line 1"));
  CHECK_THAT(refusal("a = 1\na = 2\n", parse_toml), ContainsSubstring("line 2"));
  CHECK_THAT(refusal("a = 1979-05-27\n", parse_toml), ContainsSubstring("dates and times"));
  CHECK_THROWS_WITH(Fields(parse_toml("x = nan", "t"), "t").number("x", {0, 1}),
                    ContainsSubstring("expected a number from 0 to 1"));
  CHECK_THROWS_AS(read_toml("/no/such/file"), InputError);
}
