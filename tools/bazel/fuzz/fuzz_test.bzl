"""fuzz_test: a libFuzzer target, and a test that runs it for a few seconds.

The target and all that it is made of are compiled once more for it, with coverage and ASan, by a
transition: no flag has to be given by hand, and `bazel test //...` runs every fuzzer. tools/fuzz runs
the same programs for long.
"""

def _instrumented(settings, _attr):
    # Only the fuzzer itself is linked like this: what builds it is of another configuration.
    return {
        "//command_line_option:copt": settings["//command_line_option:copt"] +
                                      ["-fsanitize=fuzzer-no-link,address", "-O1"],
        "//command_line_option:linkopt": settings["//command_line_option:linkopt"] +
                                         ["-fsanitize=fuzzer,address"],
    }

_with_fuzzer = transition(
    implementation = _instrumented,
    inputs = ["//command_line_option:copt", "//command_line_option:linkopt"],
    outputs = ["//command_line_option:copt", "//command_line_option:linkopt"],
)

def _impl(ctx):
    fuzzer = ctx.attr.fuzzer[0][DefaultInfo]
    script = ctx.actions.declare_file(ctx.label.name)
    command = [ctx.file._run, fuzzer.files_to_run.executable] + ctx.files.seeds
    words = [file.short_path for file in command]
    words.insert(2, ctx.attr.corpus)
    ctx.actions.write(script, "#!/bin/sh\nexec '%s'\n" % "' '".join(words), is_executable = True)
    runfiles = ctx.runfiles(files = command)
    return [DefaultInfo(executable = script, runfiles = runfiles.merge(fuzzer.default_runfiles))]

_fuzz_run_test = rule(
    implementation = _impl,
    test = True,
    attrs = {
        "fuzzer": attr.label(cfg = _with_fuzzer, executable = True),
        "corpus": attr.string(),
        "seeds": attr.label_list(allow_files = True),
        "_run": attr.label(default = "//tools/bazel/fuzz:run.sh", allow_single_file = True),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
)

def fuzz_test(name, srcs, deps, corpus = "", seeds = [], tags = []):
    """`name` is the test; the program is NAME_target.

    Args:
      name: "h1_decoder_fuzz".
      srcs: with LLVMFuzzerTestOneInput.
      deps: as of any program.
      corpus: a folder of raw streams inside corpora/h2o-http-corpus.tar.gz, "" for none.
      seeds: files to start from as well.
      tags: ["manual"] for one that only tools/fuzz runs.
    """
    native.cc_binary(
        name = name + "_target",
        testonly = True,
        srcs = srcs,
        tags = ["manual"],  # has no main() but under the transition
        deps = deps,
    )
    _fuzz_run_test(
        name = name,
        size = "small",
        fuzzer = name + "_target",
        corpus = corpus,
        seeds = seeds,
        tags = tags,
    )
