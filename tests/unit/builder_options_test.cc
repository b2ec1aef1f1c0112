#include <gtest/gtest.h>

#include <sstream>

#include "builder/options.h"

namespace vrun::builder {
namespace {

BuildRequest parse(const std::vector<std::string>& arguments) {
  const auto parsed = parse_options(arguments);
  if (const auto* const error = std::get_if<UsageError>(&parsed)) ADD_FAILURE() << error->reason;
  const auto* const request = std::get_if<BuildRequest>(&parsed);
  return request != nullptr ? *request : BuildRequest{};
}

std::string refusal(const std::vector<std::string>& arguments) {
  const auto parsed = parse_options(arguments);
  const auto* const error = std::get_if<UsageError>(&parsed);
  return error != nullptr ? error->reason : "accepted";
}

TEST(BuilderOptions, HaveTheDefaultsOfVenv) {
  const BuildRequest request = parse({"env"});
  EXPECT_EQ(request.directories, std::vector<std::string>{"env"});
  EXPECT_TRUE(request.with_pip);
  EXPECT_TRUE(request.scm_ignore_files);
  EXPECT_EQ(request.programs, Programs::links);
  EXPECT_FALSE(request.system_site_packages || request.clear || request.force || request.upgrade ||
               request.upgrade_deps || request.verbose || request.prompt);
}

TEST(BuilderOptions, AreAllUnderstood) {
  const BuildRequest request =
      parse({"--system-site-packages", "--copies", "a", "--clear", "--force", "--without-pip", "--prompt", "p q",
             "--upgrade-deps", "--without-scm-ignore-files", "--python=3.12", "-v", "--wheel-dir", "/w", "b"});
  EXPECT_EQ(request.directories, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(request.system_site_packages && request.clear && request.force && request.upgrade_deps &&
              request.verbose);
  EXPECT_FALSE(request.with_pip || request.scm_ignore_files);
  EXPECT_EQ(request.programs, Programs::copies);
  EXPECT_EQ(request.prompt, "p q");
  EXPECT_EQ(request.python, "3.12");
  EXPECT_EQ(request.wheel_directory, "/w");
}

TEST(BuilderOptions, SayWhatPipInstallsAndWhereBytecodeComesFrom) {
  const BuildRequest request = parse({"-r", "a.txt", "env", "--requirement=b.txt", "--compile=now"});
  EXPECT_EQ(request.requirements, (std::vector<std::string>{"a.txt", "b.txt"}));
  EXPECT_EQ(request.compile, Compile::now);
  EXPECT_EQ(parse({"env"}).compile, Compile::automatic);
  EXPECT_EQ(parse({"--compile", "no", "env"}).compile, Compile::no);
  EXPECT_NE(refusal({"--compile=later", "env"}).find("auto, now or no"), std::string::npos);
  EXPECT_NE(refusal({"-r", "a.txt", "--without-pip", "env"}).find("--without-pip"), std::string::npos);
}

TEST(BuilderOptions, SayWhatAnEnvironmentBeginsWith) {
  const auto names = [](const BuildRequest& request) {
    std::string out = request.default_seeds ? "defaults" : "none";
    for (const Seed& seed : request.seeds) out += " " + seed.project;
    return out;
  };
  EXPECT_EQ(names(parse({"env"})), "defaults");
  EXPECT_EQ(names(parse({"--without-pip", "env"})), "none");
  EXPECT_EQ(names(parse({"--seed", "pip==24.2", "--seed=Wheel_Thing", "env"})), "defaults pip wheel-thing");
  EXPECT_EQ(names(parse({"--seed=none", "env"})), "none");
  EXPECT_EQ(names(parse({"--seed=setuptools", "--seed=none", "env"})), "none setuptools");
  EXPECT_TRUE(parse({"--seed=wheel", "env"}).with_pip);
  EXPECT_TRUE(parse({"--seed=none", "--seed=pip", "env"}).with_pip);
  EXPECT_FALSE(parse({"--seed=none", "--seed=wheel", "env"}).with_pip);
  EXPECT_NE(refusal({"--seed=pip", "--seed=Pip==2", "env"}).find("twice"), std::string::npos);
  EXPECT_NE(refusal({"--seed=../x", "env"}).find("not '../x'"), std::string::npos);
  EXPECT_NE(refusal({"--without-pip", "--seed=wheel", "env"}).find("--seed none"), std::string::npos);
  EXPECT_NE(refusal({"--seed=none", "-r", "a.txt", "env"}).find("--seed none leaves out"), std::string::npos);
  EXPECT_NE(refusal({"--seed=wheel", "--inspect", "env"}).find("--seed says how to build"), std::string::npos);
}

TEST(BuilderOptions, MayBeShortenedRepeatedAndMixed) {
  EXPECT_FALSE(parse({"--without-p", "env"}).with_pip);
  EXPECT_TRUE(parse({"env", "--sys"}).system_site_packages);
  EXPECT_TRUE(parse({"--clear", "--clear", "env"}).clear);
  EXPECT_EQ(parse({"--prompt", "a", "--prompt", "b", "env"}).prompt, "b");
  EXPECT_EQ(parse({"--", "-x", "--clear"}).directories, (std::vector<std::string>{"-x", "--clear"}));
  EXPECT_EQ(parse({"--prompt=", "env"}).prompt, "");
  EXPECT_EQ(parse({"--prompt", "", "env"}).prompt, "");
  EXPECT_EQ(parse({"--", "--prompt="}).directories, std::vector<std::string>{"--prompt="});
  EXPECT_EQ(parse({""}).directories, std::vector<std::string>{""});
}

TEST(BuilderOptions, LookAtOneEnvironment) {
  const auto inspect = parse_options({"env", "--inspect", "--json"});
  ASSERT_TRUE(std::holds_alternative<InspectRequest>(inspect));
  EXPECT_EQ(std::get<InspectRequest>(inspect).directory, "env");
  EXPECT_TRUE(std::get<InspectRequest>(inspect).json);
  const auto doctor = parse_options({"--doctor", "--fix", "env"});
  ASSERT_TRUE(std::holds_alternative<DoctorRequest>(doctor));
  EXPECT_TRUE(std::get<DoctorRequest>(doctor).fix);
  EXPECT_FALSE(std::get<DoctorRequest>(doctor).json);
  EXPECT_TRUE(parse({"--json", "env"}).json);
  EXPECT_EQ(refusal({"--inspect", "--doctor", "env"}), "--inspect and --doctor cannot be given together");
  EXPECT_EQ(refusal({"--fix", "env"}), "--fix belongs to --doctor, which is not given");
  EXPECT_EQ(refusal({"--inspect", "a", "b"}), "--inspect looks at one environment, and several are given");
  EXPECT_EQ(refusal({"--doctor", "--copies", "a"}), "--copies says how to build, and --doctor builds nothing");
  EXPECT_EQ(refusal({"--doctor"}), "say where: ENV_DIR is missing");
}

TEST(BuilderOptions, ExactNamesWinOverLongerOnes) {
  EXPECT_FALSE(parse({"--upgrade", "env"}).upgrade_deps);
  EXPECT_TRUE(parse({"--upgrade", "env"}).upgrade);
}

TEST(BuilderOptions, AreRefusedInOneLine) {
  EXPECT_NE(refusal({}).find("ENV_DIR"), std::string::npos);
  EXPECT_NE(refusal({"--symlinks", "--copies", "e"}).find("together"), std::string::npos);
  EXPECT_NE(refusal({"--clear", "--upgrade", "e"}).find("together"), std::string::npos);
  EXPECT_NE(refusal({"--force", "e"}).find("--clear"), std::string::npos);
  EXPECT_NE(refusal({"--without", "e"}).find("ambiguous"), std::string::npos);
  EXPECT_NE(refusal({"--nonsense", "e"}).find("--nonsense"), std::string::npos);
  EXPECT_NE(refusal({"--clear=yes", "e"}), "accepted");
  EXPECT_NE(refusal({"e", "--prompt"}), "accepted");
  EXPECT_NE(refusal({"--python=", "e"}), "accepted");
  EXPECT_NE(refusal({"-x", "e"}), "accepted");
  const std::string reason = refusal({"--non\nsense\x1b[1m", "e"});
  EXPECT_EQ(reason.find_first_of("\n\x1b"), std::string::npos) << reason;
}

TEST(BuilderOptions, HelpFitsAScreen) {
  const auto parsed = parse_options({"e", "-h", "--nothing-after-it-matters"});
  EXPECT_TRUE(std::holds_alternative<UsageError>(parsed)) << "but a wrong option is wrong";
  const auto help = parse_options({"-h"});
  ASSERT_TRUE(std::holds_alternative<Information>(help));
  std::istringstream lines(std::get<Information>(help).text);
  std::string line;
  int count = 0;
  for (; std::getline(lines, line); ++count) EXPECT_LE(line.size(), 80U) << line;
  EXPECT_LE(count, 24);
  const auto version = parse_options({"--version"});
  ASSERT_TRUE(std::holds_alternative<Information>(version));
  EXPECT_EQ(std::get<Information>(version).text.substr(0, 7), "vbuild ");
}

}  // namespace
}  // namespace vrun::builder
