"""Tests with the real binaries, one at a time, outside of any sandbox of Bazel's."""

# Environment variable → what it names.
_BINARIES = {
    "WEFTCTL": "//tools/weftctl",
    "WEFTD": "//controlplane:weftd",
    "WEFT_PROXY": "//proxy:weft-proxy",
}

def integration_test(name, tools = {}, samples = False, deps = [], **kwargs):
    """A test on test/integration/sandbox.h.

    Args:
      name: of the target, and of its source without ".cc".
      tools: variables beside those of the binaries.
      samples: whether it is made of Istio's samples, and runs only where they are.
      deps: beside the sandbox.
      **kwargs: as of cc_test.
    """
    binaries = dict(_BINARIES, **tools)
    env = {variable: "$(rootpath %s)" % target for variable, target in binaries.items()}
    if samples:
        env["WEFT_NEEDS_SAMPLES"] = "1"
    native.cc_test(
        name = name,
        size = "medium",
        srcs = [name + ".cc"],
        data = ["README.md"] + binaries.values(),
        env = env,
        tags = [
            "exclusive",
            "local",
        ],
        deps = [
            ":main",
            ":process",
            ":sandbox",
            "//tools/bazel/deps:absl",
            "//tools/bazel/deps:json",
        ] + deps,
        **kwargs
    )
