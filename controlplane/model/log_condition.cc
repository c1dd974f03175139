#include "controlplane/model/log_condition.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "re2/re2.h"

namespace weft {
namespace {

using Kind = LogCondition::Kind;
using Comparison = LogCondition::Comparison;
using Text = LogCondition::Text;

// Attributes of CEL that are headers, or what HTTP/2 has as such.
struct HeaderAttribute {
  absl::string_view name;
  absl::string_view header;
};
constexpr std::array kHeaderAttributes = {
    HeaderAttribute{"request.method", ":method"},
    HeaderAttribute{"request.path", ":path"},
    HeaderAttribute{"request.url_path", ":path"},
    HeaderAttribute{"request.host", ":authority"},
    HeaderAttribute{"request.scheme", ":scheme"},
    HeaderAttribute{"request.useragent", "user-agent"},
    HeaderAttribute{"request.referer", "referer"},
    HeaderAttribute{"request.id", "x-request-id"},
};

struct NumberAttribute {
  absl::string_view name;
  Kind kind;
};
constexpr std::array kNumberAttributes = {
    NumberAttribute{"response.code", Kind::kStatus},
    NumberAttribute{"response.grpc_status", Kind::kGrpcStatus},
    NumberAttribute{"response.flags", Kind::kAnyFlag},
    NumberAttribute{"request.duration", Kind::kDuration},
};

constexpr absl::string_view kTextFunctions[] = {"startsWith", "endsWith", "contains", "matches"};

absl::Status Unsupported(absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(what,
                   " is not supported by weft-proxy's access-log filters; there are response.code, "
                   ".grpc_status, .flags, request.duration, .method, .path, .url_path, .host, "
                   ".scheme, .useragent, .referer, .id, .headers['NAME'] and connection.mtls"));
}

// ---- Conditions and their opposites.

LogCondition Constant(bool value) {
  LogCondition condition;
  condition.kind = value ? Kind::kAlways : Kind::kNever;
  return condition;
}

// Joined to what is of the same kind already, so that a long chain is not a deep one.
LogCondition Join(Kind kind, std::vector<LogCondition> parts) {
  if (parts.size() == 1) return std::move(parts.front());
  LogCondition joined;
  joined.kind = kind;
  for (LogCondition& part : parts) {
    if (part.kind == kind) {
      std::move(part.parts.begin(), part.parts.end(), std::back_inserter(joined.parts));
    } else {
      joined.parts.push_back(std::move(part));
    }
  }
  return joined;
}

absl::StatusOr<LogCondition> Not(LogCondition condition);

absl::StatusOr<LogCondition> NotEach(Kind kind, std::vector<LogCondition> parts) {
  for (LogCondition& part : parts) {
    absl::StatusOr<LogCondition> opposite = Not(std::move(part));
    if (!opposite.ok()) return opposite;
    part = *std::move(opposite);
  }
  return Join(kind, std::move(parts));
}

// The opposite of a comparison of whole numbers.
LogCondition NotNumber(LogCondition condition) {
  switch (condition.comparison) {
    case Comparison::kEqual:
      condition.comparison = Comparison::kNotEqual;
      return condition;
    case Comparison::kNotEqual:
      condition.comparison = Comparison::kEqual;
      return condition;
    case Comparison::kAtLeast:
      if (condition.number == 0) return Constant(false);
      condition.comparison = Comparison::kAtMost;
      --condition.number;
      return condition;
    case Comparison::kAtMost:
      if (condition.number == std::numeric_limits<uint32_t>::max()) return Constant(false);
      condition.comparison = Comparison::kAtLeast;
      ++condition.number;
      return condition;
  }
  return condition;
}

absl::StatusOr<LogCondition> Not(LogCondition condition) {
  switch (condition.kind) {
    case Kind::kAlways:
      return Constant(false);
    case Kind::kNever:
      return Constant(true);
    case Kind::kMutualTls:
      condition.kind = Kind::kNoMutualTls;
      return condition;
    case Kind::kNoMutualTls:
      condition.kind = Kind::kMutualTls;
      return condition;
    case Kind::kStatus:
    case Kind::kDuration:
    case Kind::kGrpcStatus:
      return NotNumber(std::move(condition));
    case Kind::kAnyFlag:
      return Unsupported("that no response flag is set");
    case Kind::kHeader:
      condition.negated = !condition.negated;
      return condition;
    case Kind::kAll:
      return NotEach(Kind::kAny, std::move(condition.parts));
    case Kind::kAny:
      return NotEach(Kind::kAll, std::move(condition.parts));
  }
  return condition;
}

int DepthOf(const LogCondition& condition) {
  int deepest = 0;
  for (const LogCondition& part : condition.parts) deepest = std::max(deepest, DepthOf(part));
  return deepest + 1;
}

// ---- Leaves.

// A string that a header, or the path without its query, is compared with.
absl::StatusOr<LogCondition> TextCondition(const std::string& attribute, const std::string& header,
                                           Text text, std::string value) {
  LogCondition condition;
  condition.kind = Kind::kHeader;
  condition.header = header;
  condition.text = text;
  condition.value = std::move(value);
  if (text == Text::kRegex) {
    RE2::Options options;
    options.set_log_errors(false);
    const RE2 regex(condition.value, options);
    if (!regex.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "'", condition.value, "' is not a regular expression of RE2: ", regex.error()));
    }
    // CEL looks for it anywhere, the proxy at the whole.
    condition.value = absl::StrCat("(?s:.*)(?:", condition.value, ")(?s:.*)");
  }
  if (attribute != "request.url_path" || text == Text::kPresent) return condition;
  if (text == Text::kRegex) return Unsupported("request.url_path.matches()");
  if (absl::StrContains(condition.value, '?')) return Constant(false);  // it has none
  if (text == Text::kPrefix) return condition;
  const std::string quoted = RE2::QuoteMeta(condition.value);
  const char* before = text == Text::kExact ? "" : "[^?]*";
  const char* after = text == Text::kContains ? "(?s:.*)" : "(?s:\\?.*)?";
  condition.text = Text::kRegex;
  condition.value = absl::StrCat(before, quoted, after);
  return condition;
}

// `<` and `>` among whole numbers.
absl::StatusOr<LogCondition> NumberCondition(absl::string_view attribute, Kind kind,
                                             absl::string_view op, int64_t number) {
  LogCondition condition;
  condition.kind = kind;
  if (kind == Kind::kAnyFlag) {
    if (number != 0 || op != "!=") {
      return Unsupported(absl::StrCat(attribute, " ", op, " ", number));
    }
    return condition;
  }
  const int64_t written = number;
  if (op == ">") ++number;
  if (op == "<") --number;
  if (number < 0) return Constant(op == "!=" || op == ">" || op == ">=");
  if (number > std::numeric_limits<uint32_t>::max()) {
    return absl::InvalidArgumentError(absl::StrCat(written, " is out of range"));
  }
  condition.number = static_cast<uint32_t>(number);
  condition.comparison = op == "=="                  ? Comparison::kEqual
                         : op == "!="                ? Comparison::kNotEqual
                         : absl::StartsWith(op, ">") ? Comparison::kAtLeast
                                                     : Comparison::kAtMost;
  const bool ordered =
      condition.comparison == Comparison::kAtLeast || condition.comparison == Comparison::kAtMost;
  if (kind == Kind::kGrpcStatus && (ordered || number > 16)) {
    return Unsupported(absl::StrCat(attribute, " ", op, " ", written));
  }
  return condition;
}

// ---- Text to conditions, by recursive descent.

class Parser {
 public:
  explicit Parser(absl::string_view text) : text_(text) {}

  absl::StatusOr<LogCondition> Parse() {
    absl::StatusOr<LogCondition> condition = ParseAny();
    if (!condition.ok()) return condition;
    if (SkipSpace(); at_ < text_.size()) return Unexpected("an operator");
    if (DepthOf(*condition) > kMaxLogConditionDepth) return TooDeep();
    return condition;
  }

 private:
  struct Literal {
    enum class Type { kText, kNumber, kBool, kDuration } type = Type::kText;
    std::string text;
    int64_t number = 0;  // of a duration, milliseconds; of a boolean, 0 or 1
  };
  struct Attribute {
    std::string name;      // "request.headers" for each of them
    std::string header;    // if it is one
    std::string function;  // "startsWith"
  };

  static absl::Status TooDeep() {
    return absl::InvalidArgumentError("the expression is nested too deeply");
  }

  absl::Status Unexpected(absl::string_view wanted) {
    SkipSpace();
    if (at_ >= text_.size()) {
      return absl::InvalidArgumentError(absl::StrCat("ends where ", wanted, " is expected"));
    }
    return absl::InvalidArgumentError(absl::StrCat("at character ", at_ + 1, ", '",
                                                   text_.substr(at_, 20), "': expected ", wanted));
  }

  void SkipSpace() {
    while (at_ < text_.size() && absl::ascii_isspace(text_[at_])) ++at_;
  }

  bool Take(absl::string_view token) {
    SkipSpace();
    if (!absl::StartsWith(text_.substr(at_), token)) return false;
    at_ += token.size();
    return true;
  }

  std::string TakeIdentifier() {
    SkipSpace();
    const size_t begin = at_;
    while (at_ < text_.size() && (absl::ascii_isalnum(text_[at_]) || text_[at_] == '_')) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  template <typename ParsePart>
  absl::StatusOr<LogCondition> ParseChain(Kind kind, absl::string_view op, ParsePart parse_part) {
    std::vector<LogCondition> parts;
    do {
      absl::StatusOr<LogCondition> part = (this->*parse_part)();
      if (!part.ok()) return part;
      parts.push_back(*std::move(part));
    } while (Take(op));
    return Join(kind, std::move(parts));
  }

  absl::StatusOr<LogCondition> ParseAny() {
    return ParseChain(Kind::kAny, "||", &Parser::ParseAll);
  }
  absl::StatusOr<LogCondition> ParseAll() {
    return ParseChain(Kind::kAll, "&&", &Parser::ParseUnary);
  }

  absl::StatusOr<LogCondition> ParseUnary() {
    // Each step into the text is one into our stack.
    if (++depth_ > kMaxLogConditionDepth) return TooDeep();
    absl::StatusOr<LogCondition> condition = ParseInner();
    --depth_;
    return condition;
  }

  absl::StatusOr<LogCondition> ParseInner() {
    if (Take("!")) {
      absl::StatusOr<LogCondition> condition = ParseUnary();
      return condition.ok() ? Not(*std::move(condition)) : condition;
    }
    if (Take("(")) {
      absl::StatusOr<LogCondition> condition = ParseAny();
      if (condition.ok() && !Take(")")) return Unexpected("')'");
      return condition;
    }
    SkipSpace();
    if (at_ >= text_.size()) return Unexpected("a condition");
    const char first = text_[at_];
    if (absl::ascii_isdigit(first) || first == '\'' || first == '"') return ParseReversed();
    return ParseNamed();
  }

  // `'x-debug' in request.headers`, `400 <= response.code`.
  absl::StatusOr<LogCondition> ParseReversed() {
    absl::StatusOr<Literal> literal = ParseLiteral(TakeWordIfAny());
    if (!literal.ok()) return literal.status();
    const size_t before = at_;
    if (TakeIdentifier() == "in") {
      absl::StatusOr<Attribute> headers = ParseAttribute(TakeIdentifier());
      if (!headers.ok()) return headers.status();
      if (headers->name != "request.headers" || !headers->header.empty() ||
          literal->type != Literal::Type::kText) {
        return Unsupported("'in' other than for request.headers");
      }
      return Presence(absl::AsciiStrToLower(literal->text));
    }
    at_ = before;
    const std::string op = TakeComparison();
    if (op.empty()) return Unexpected("a comparison");
    absl::StatusOr<Attribute> attribute = ParseAttribute(TakeIdentifier());
    if (!attribute.ok()) return attribute.status();
    std::string mirrored = op;
    if (op[0] == '<') mirrored[0] = '>';
    if (op[0] == '>') mirrored[0] = '<';
    return Compare(*attribute, mirrored, *literal);
  }

  absl::StatusOr<LogCondition> ParseNamed() {
    const std::string word = TakeIdentifier();
    if (word.empty()) return Unexpected("a condition");
    if (word == "true" || word == "false") return Constant(word == "true");
    if (word == "has") return ParseHas();
    absl::StatusOr<Attribute> attribute = ParseAttribute(word);
    if (!attribute.ok()) return attribute.status();
    if (!attribute->function.empty()) return ParseFunction(*attribute);
    const std::string op = TakeComparison();
    if (op.empty()) {
      if (attribute->name == "connection.mtls") return MutualTls(true);
      return Unexpected(absl::StrCat("a comparison of ", attribute->name));
    }
    absl::StatusOr<Literal> literal = ParseLiteral(TakeWordIfAny());
    if (!literal.ok()) return literal.status();
    return Compare(*attribute, op, *literal);
  }

  absl::StatusOr<LogCondition> ParseHas() {
    if (!Take("(")) return Unexpected("'('");
    absl::StatusOr<Attribute> attribute = ParseAttribute(TakeIdentifier());
    if (!attribute.ok()) return attribute.status();
    if (!attribute->function.empty() || !Take(")")) return Unexpected("')'");
    if (attribute->name == "connection.mtls") return Constant(true);
    if (attribute->name == "response.code") return NumberCondition("", Kind::kStatus, ">=", 1);
    if (attribute->header.empty()) return Unsupported(absl::StrCat("has(", attribute->name, ")"));
    return Presence(attribute->header);
  }

  absl::StatusOr<LogCondition> ParseFunction(const Attribute& attribute) {
    if (!Take("(")) return Unexpected("'('");
    absl::StatusOr<Literal> literal = ParseLiteral(TakeWordIfAny());
    if (!literal.ok()) return literal.status();
    if (!Take(")")) return Unexpected("')'");
    if (attribute.header.empty() || literal->type != Literal::Type::kText) {
      return absl::InvalidArgumentError(absl::StrCat(attribute.function, "() is for texts only"));
    }
    const Text text = attribute.function == "startsWith" ? Text::kPrefix
                      : attribute.function == "endsWith" ? Text::kSuffix
                      : attribute.function == "contains" ? Text::kContains
                                                         : Text::kRegex;
    return TextCondition(attribute.name, attribute.header, text, literal->text);
  }

  static absl::StatusOr<LogCondition> Presence(std::string header) {
    return TextCondition("", header, Text::kPresent, "");
  }

  static LogCondition MutualTls(bool there) {
    LogCondition condition;
    condition.kind = there ? Kind::kMutualTls : Kind::kNoMutualTls;
    return condition;
  }

  static absl::StatusOr<LogCondition> Compare(const Attribute& attribute, absl::string_view op,
                                              const Literal& literal) {
    const bool equality = op == "==" || op == "!=";
    if (attribute.name == "connection.mtls") {
      if (literal.type != Literal::Type::kBool || !equality) {
        return absl::InvalidArgumentError("connection.mtls is true or false");
      }
      return MutualTls((literal.number == 1) == (op == "=="));
    }
    if (!attribute.header.empty()) {
      if (literal.type != Literal::Type::kText || !equality) {
        return absl::InvalidArgumentError(absl::StrCat(
            attribute.name, " is a text: it is compared by == and != with one in quotes"));
      }
      absl::StatusOr<LogCondition> same =
          TextCondition(attribute.name, attribute.header, Text::kExact, literal.text);
      return same.ok() && op == "!=" ? Not(*std::move(same)) : same;
    }
    const auto* number =
        std::find_if(kNumberAttributes.begin(), kNumberAttributes.end(),
                     [&](const NumberAttribute& one) { return one.name == attribute.name; });
    if (number == kNumberAttributes.end()) return Unsupported(attribute.name);
    const auto wanted =
        number->kind == Kind::kDuration ? Literal::Type::kDuration : Literal::Type::kNumber;
    if (literal.type != wanted) {
      return absl::InvalidArgumentError(
          absl::StrCat(attribute.name, " is compared with ",
                       number->kind == Kind::kDuration ? "duration('1s')" : "a whole number"));
    }
    return NumberCondition(attribute.name, number->kind, op, literal.number);
  }

  std::string TakeComparison() {
    for (absl::string_view op : {"==", "!=", "<=", ">=", "<", ">"}) {
      if (Take(op)) return std::string(op);
    }
    return "";
  }

  // A word where a literal begins with one: "true", "duration".
  std::string TakeWordIfAny() {
    SkipSpace();
    return at_ < text_.size() && absl::ascii_isalpha(text_[at_]) ? TakeIdentifier() : "";
  }

  // A dotted name, of which `first` was read, with the index of a header and the name of a
  // function.
  absl::StatusOr<Attribute> ParseAttribute(std::string first) {
    Attribute attribute;
    attribute.name = std::move(first);
    if (attribute.name.empty()) return Unexpected("an attribute");
    while (Take(".")) {
      std::string part = TakeIdentifier();
      if (part.empty()) return Unexpected("a name");
      if (std::find(std::begin(kTextFunctions), std::end(kTextFunctions), part) !=
          std::end(kTextFunctions)) {
        attribute.function = std::move(part);
        break;
      }
      if (attribute.name == "request.headers" && attribute.header.empty()) {
        attribute.header = absl::AsciiStrToLower(part);
      } else {
        absl::StrAppend(&attribute.name, ".", part);
      }
      if (attribute.name == "request.headers" && attribute.header.empty() && Take("[")) {
        absl::StatusOr<Literal> name = ParseLiteral(TakeWordIfAny());
        if (!name.ok()) return name.status();
        if (!Take("]")) return Unexpected("']'");
        attribute.header = absl::AsciiStrToLower(name->text);
        if (attribute.header.empty()) return Unexpected("the name of a header in quotes");
      }
    }
    for (const HeaderAttribute& known : kHeaderAttributes) {
      if (known.name == attribute.name) attribute.header = std::string(known.header);
    }
    return IsKnown(attribute) ? absl::StatusOr<Attribute>(attribute)
                              : absl::StatusOr<Attribute>(Unsupported(attribute.name));
  }

  static bool IsKnown(const Attribute& attribute) {
    return !attribute.header.empty() || attribute.name == "request.headers" ||
           attribute.name == "connection.mtls" ||
           std::any_of(kNumberAttributes.begin(), kNumberAttributes.end(),
                       [&](const NumberAttribute& one) { return one.name == attribute.name; });
  }

  absl::StatusOr<Literal> ParseLiteral(const std::string& word) {
    if (word == "true" || word == "false") {
      return Literal{Literal::Type::kBool, "", word == "true" ? 1 : 0};
    }
    if (word == "duration") return ParseDuration();
    if (!word.empty()) return Unsupported(absl::StrCat("a comparison with '", word, "'"));
    SkipSpace();
    if (at_ >= text_.size()) return Unexpected("a value");
    if (text_[at_] == '\'' || text_[at_] == '"') return ParseText();
    if (!absl::ascii_isdigit(text_[at_])) return Unexpected("a value");
    const size_t begin = at_;
    while (at_ < text_.size() && absl::ascii_isdigit(text_[at_])) ++at_;
    Literal literal{Literal::Type::kNumber, "", 0};
    if (at_ - begin > 18 || !absl::SimpleAtoi(text_.substr(begin, at_ - begin), &literal.number)) {
      return absl::InvalidArgumentError("a number is too large");
    }
    return literal;
  }

  absl::StatusOr<Literal> ParseDuration() {
    if (!Take("(")) return Unexpected("'('");
    absl::StatusOr<Literal> text = ParseLiteral("");
    if (!text.ok()) return text;
    if (!Take(")")) return Unexpected("')'");
    absl::Duration duration;
    if (text->type != Literal::Type::kText || !absl::ParseDuration(text->text, &duration) ||
        duration < absl::ZeroDuration() || duration > absl::Hours(24)) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", text->text, "' is not a duration as '1.5s', up to 24h"));
    }
    return Literal{Literal::Type::kDuration, "", absl::ToInt64Milliseconds(duration)};
  }

  absl::StatusOr<Literal> ParseText() {
    const char quote = text_[at_++];
    Literal literal;
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] == '\\') {
        if (++at_ >= text_.size()) break;
        if (text_[at_] != '\\' && text_[at_] != '\'' && text_[at_] != '"') {
          return Unsupported(absl::StrCat("the escape '\\", text_.substr(at_, 1), "'"));
        }
      }
      literal.text.push_back(text_[at_++]);
    }
    if (at_ >= text_.size()) return absl::InvalidArgumentError("a text in quotes does not end");
    ++at_;
    return literal;
  }

  const absl::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

absl::StatusOr<LogCondition> ParseLogCondition(absl::string_view expression) {
  if (expression.size() > kMaxLogExpression) {
    return absl::InvalidArgumentError(
        absl::StrCat("the expression is longer than ", kMaxLogExpression, " bytes"));
  }
  return Parser(expression).Parse();
}

}  // namespace weft
