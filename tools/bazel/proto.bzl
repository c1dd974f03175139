"""weft_proto_library: C++ (and gRPC) code from .proto files by Debian's protoc.

The import path of every proto is its path from the root of the project.
"""

def weft_proto_library(name, srcs, deps = [], grpc = False, alwayslink = False, visibility = None):
    """Generates a cc_library `name` and a filegroup `name_protos`.

    With grpc, the messages alone are `name_messages`, for who speaks gRPC without libgrpc (the proxy).

    Args:
      name: the cc_library.
      srcs: .proto files of this package.
      deps: other weft_proto_library targets that srcs import.
      grpc: whether to generate gRPC services too.
      alwayslink: link every message even if unnamed in code: types found by name (Any).
      visibility: as everywhere.
    """
    native.filegroup(
        name = name + "_protos",
        srcs = srcs + [d + "_protos" if ":" in d else d + ":" + d.split("/")[-1] + "_protos" for d in deps],
        visibility = visibility,
    )
    headers = []
    sources = []
    grpc_headers = []
    grpc_sources = []
    for src in srcs:
        stem = src[:-len(".proto")]
        headers.append(stem + ".pb.h")
        sources.append(stem + ".pb.cc")
        if grpc:
            grpc_headers.append(stem + ".grpc.pb.h")
            grpc_sources.append(stem + ".grpc.pb.cc")
    grpc_flags = "--grpc_out=$(GENDIR) --plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin" if grpc else ""
    native.genrule(
        name = name + "_generate",
        srcs = [":" + name + "_protos"],
        outs = headers + sources + grpc_headers + grpc_sources,
        cmd = "protoc -I. --cpp_out=$(GENDIR) " + grpc_flags + " " +
              " ".join([native.package_name() + "/" + s for s in srcs]),
    )
    native.cc_library(
        name = name + "_messages" if grpc else name,
        srcs = sources,
        hdrs = headers,
        copts = ["-w", "-O1"],
        alwayslink = alwayslink,
        visibility = visibility,
        deps = deps + ["//tools/bazel/deps:protobuf"],
    )
    if grpc:
        native.cc_library(
            name = name,
            srcs = grpc_sources,
            hdrs = grpc_headers,
            copts = ["-w", "-O1"],
            visibility = visibility,
            deps = [":" + name + "_messages", "//tools/bazel/deps:grpc"],
        )
