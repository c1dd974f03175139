#include "proxy/telemetry/access_line.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace weft {
namespace {

bool Compare(const AccessLogFilter& filter, int64_t value) {
  using Comparison = AccessLogFilter::Comparison;
  const int64_t wanted = filter.number;
  switch (filter.comparison) {
    case Comparison::kEqual:
      return value == wanted;
    case Comparison::kAtLeast:
      return value >= wanted;
    case Comparison::kAtMost:
      return value <= wanted;
    case Comparison::kNotEqual:
      return value != wanted;
  }
  return false;
}

bool HeaderPasses(const HeaderMatch& match, const FormatInput& input) {
  FormatPiece piece;
  piece.op = FormatOperator::kRequestHeader;
  piece.text = match.name;
  const std::optional<std::string> value = Evaluate(piece, input);
  return match.Matches(value.has_value() ? std::optional<absl::string_view>(*value) : std::nullopt);
}

bool GrpcPasses(const AccessLogFilter& filter, int status) {
  const bool listed = status >= 0 && status < 32 && ((filter.grpc_statuses >> status) & 1) != 0;
  return listed != filter.exclude;
}

// JSON's strings (RFC 8259, section 7). Bytes that are not UTF-8 may come from a peer: everything
// beyond ASCII is taken for Latin-1 unless the whole is valid.
bool IsUtf8(absl::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t more = lead < 0x80 ? 0 : lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    if ((lead >= 0x80 && lead < 0xc2) || lead > 0xf4 || i + more >= text.size()) return false;
    for (size_t k = 1; k <= more; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return false;
    }
    i += more + 1;
  }
  return true;
}

void AppendJsonString(absl::string_view text, std::string& to) {
  const bool utf8 = IsUtf8(text);
  to.push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      to.push_back('\\');
      to.push_back(c);
    } else if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !utf8)) {
      absl::StrAppend(&to, "\\u", absl::Hex(byte, absl::kZeroPad4));
    } else {
      to.push_back(c);
    }
  }
  to.push_back('"');
}

class JsonWriter {
 public:
  JsonWriter(const FormatInput& input, bool omit_empty, std::string& to)
      : input_(input), omit_empty_(omit_empty), to_(to) {}

  // False: it has no value, and was left out.
  bool Write(const JsonFormat& json) {
    switch (json.kind) {
      case JsonFormat::Kind::kFormat:
        return WriteFormat(json.format);
      case JsonFormat::Kind::kRaw:
        to_.append(json.raw);
        return true;
      case JsonFormat::Kind::kObject:
        WriteMembers(json, '{', '}');
        return true;
      case JsonFormat::Kind::kList:
        WriteMembers(json, '[', ']');
        return true;
    }
    return false;
  }

 private:
  void WriteMembers(const JsonFormat& json, char open, char close) {
    to_.push_back(open);
    bool first = true;
    for (size_t i = 0; i < json.members.size(); ++i) {
      const size_t before = to_.size();
      if (!first) to_.push_back(',');
      if (json.kind == JsonFormat::Kind::kObject) absl::StrAppend(&to_, json.names[i], ":");
      if (Write(json.members[i])) {
        first = false;
      } else {
        to_.resize(before);
      }
    }
    to_.push_back(close);
  }

  bool WriteFormat(const FormatString& format) {
    // A single operator keeps its type.
    if (format.pieces.size() == 1 && format.pieces[0].op != FormatOperator::kLiteral) {
      const std::optional<std::string> value = Evaluate(format.pieces[0], input_);
      if (!value.has_value()) {
        if (omit_empty_) return false;
        to_.append("null");
      } else if (IsNumber(format.pieces[0].op)) {
        to_.append(*value);
      } else {
        AppendJsonString(*value, to_);
      }
      return true;
    }
    std::string text;
    for (const FormatPiece& piece : format.pieces) {
      text.append(Evaluate(piece, input_).value_or(omit_empty_ ? "" : "-"));
    }
    AppendJsonString(text, to_);
    return true;
  }

  const FormatInput& input_;
  const bool omit_empty_;
  std::string& to_;
};

}  // namespace

bool Passes(const AccessLogFilter& filter, const FormatInput& input, uint64_t random) {
  const RequestRecord& record = *input.record;
  const auto part = [&](const AccessLogFilter& one) { return Passes(one, input, random); };
  switch (filter.kind) {
    case AccessLogFilter::Kind::kStatusCode:
      return Compare(filter, record.status);
    case AccessLogFilter::Kind::kDuration:
      return Compare(filter, absl::ToInt64Milliseconds(record.duration));
    case AccessLogFilter::Kind::kShare:
      return filter.share.Takes(random);
    case AccessLogFilter::Kind::kAnd:
      return std::all_of(filter.parts.begin(), filter.parts.end(), part);
    case AccessLogFilter::Kind::kOr:
      return std::any_of(filter.parts.begin(), filter.parts.end(), part);
    case AccessLogFilter::Kind::kHeader:
      return HeaderPasses(filter.header, input);
    case AccessLogFilter::Kind::kResponseFlags:
      return filter.flags.empty() ? !record.flags().empty() : record.flags().Meets(filter.flags);
    case AccessLogFilter::Kind::kGrpcStatus:
      return GrpcPasses(filter, record.grpc_status);
    case AccessLogFilter::Kind::kAlways:
      return true;
  }
  return true;
}

std::string AccessLine(const AccessLogConfig& log, const FormatInput& input) {
  std::string line;
  if (log.json == nullptr) {
    AppendText(log.text, input, log.omit_empty_values ? "" : "-", line);
    return line;
  }
  JsonWriter(input, log.omit_empty_values, line).Write(*log.json);
  line.push_back('\n');
  return line;
}

}  // namespace weft
