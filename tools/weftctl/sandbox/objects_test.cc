#include "tools/weftctl/sandbox/objects.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace weft::sandbox {
namespace {

Objects Parse(const std::string& text) {
  ParsedObjects parsed = ParseObjects(text, "x.yaml");
  EXPECT_TRUE(parsed.problems.empty()) << ToString(parsed.problems[0]);
  Objects objects;
  for (auto& object : parsed.objects) objects[object->key] = object;
  return objects;
}

std::string Lines(const std::vector<Problem>& problems) {
  std::string lines;
  for (const Problem& problem : problems) {
    absl::StrAppend(&lines, lines.empty() ? "" : "\n", ToString(problem));
  }
  return lines;
}

std::string Deployment(const std::string& spec) {
  return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: " + spec + "\n";
}

TEST(TypedObjects, KeepsStringsStringsAndFillsInTheNamespace) {
  std::vector<Problem> problems;
  ClusterObjects typed = TypedObjects(
      Parse("kind: Service\napiVersion: v1\nmetadata: {name: a, labels: {version: '1'}}\n"
            "spec: {ports: [{port: 80, targetPort: http}], unknown: {deep: 1}}\n"),
      {}, &problems);
  ASSERT_EQ(Lines(problems), "");
  ASSERT_EQ(typed.services.count("default/a"), 1u);
  EXPECT_EQ(typed.services["default/a"].metadata().labels().at("version"), "1");
  EXPECT_EQ(typed.services["default/a"].metadata().namespace_(), "default");
}

TEST(TypedObjects, AWrongTypeIsNamedAndTheLastGoodStays) {
  std::vector<Problem> problems;
  ClusterObjects good = TypedObjects(Parse(Deployment("{replicas: 3}")), {}, &problems);
  ClusterObjects after = TypedObjects(Parse(Deployment("{replicas: many}")), good, &problems);
  EXPECT_EQ(after.deployments["default/d"].spec().replicas(), 3);
  EXPECT_EQ(Lines(problems),
            "x.yaml:1: Deployment default/d: spec.replicas (line 4): expected an integer, got "
            "string 'many'");
}

TEST(CheckWorkloads, NamesTheField) {
  const std::string labels = "metadata: {labels: {app: d}}";
  const struct {
    std::string text, expected;
  } cases[] = {
      {Deployment("{selector: {matchLabels: {app: d}}, template: {" + labels +
                  ", spec: {containers: [{name: c, ports: [{containerPort: 80}]}]}}}"),
       ""},
      {Deployment("{selector: {matchLabels: {app: e}}, template: {" + labels +
                  ", spec: {containers: [{name: c}]}}}"),
       "x.yaml:1: Deployment default/d: spec.selector.matchLabels.app: 'e' is not among "
       "spec.template.metadata.labels"},
      {Deployment("{template: {" + labels +
                  ", spec: {containers: [{name: c, ports: [{containerPort: 70000}]}]}}}"),
       "x.yaml:1: Deployment default/d: spec.template.spec.containers[0].ports[0].containerPort: "
       "70000 is out of range 1..65535"},
      {Deployment("{}"),
       "x.yaml:1: Deployment default/d: spec.template.spec.containers: is empty: a pod needs one"},
      {"apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\n",
       "x.yaml:1: warning: StatefulSet default/db: not started: the sandbox runs Deployments and "
       "Pods"},
  };
  for (const auto& c : cases) {
    Objects objects = Parse(c.text);
    std::vector<Problem> problems;
    ClusterObjects typed = TypedObjects(objects, {}, &problems);
    EXPECT_EQ(Lines(CheckWorkloads(objects, typed)), c.expected) << c.text;
  }
}

TEST(RawObjects, AreWrittenAsTheyWereReadAndATombstoneDeletes) {
  Objects objects = Parse(
      "kind: Widget\napiVersion: x.io/v1\nmetadata: {name: w}\n"
      "spec: {text: '80', number: 80, flag: true, none: ~}\n");
  const RawObject& object = *objects.begin()->second;
  Objects again = Parse(ToJson(object));
  EXPECT_EQ(ToJson(*again.begin()->second), ToJson(object));
  EXPECT_EQ(again.begin()->first, object.key);
  EXPECT_NE(ToJson(object).find("\"text\": \"80\""), std::string::npos) << ToJson(object);
  EXPECT_TRUE(Parse(Tombstone(object)).begin()->second->deleted);
}

}  // namespace
}  // namespace weft::sandbox
