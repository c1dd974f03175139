#include "proxy/serve/local_reply.h"

#include "proxy/serve/exchange.h"
#include "proxy/serve/format_input.h"
#include "proxy/telemetry/access_line.h"

namespace weft {
namespace {

const LocalReplyMapper* MapperOf(Exchange& x, const LocalReplyConfig& config) {
  const FormatInput input = InputOf(x);
  for (const LocalReplyMapper& mapper : config.mappers) {
    if (Passes(mapper.filter, input, x.worker().Random())) return &mapper;
  }
  return nullptr;
}

}  // namespace

void ShapeReply(Exchange& x, Answer& answer) {
  const LocalReplyConfig& config = x.connection.config.local_reply;
  x.record.status = answer.status;
  x.record.flag = answer.flag;
  x.record.details = answer.details;
  const AccessLogConfig* format = config.body_format.get();
  if (const LocalReplyMapper* mapper = MapperOf(x, config)) {
    if (mapper->status != 0) x.record.status = answer.status = static_cast<int>(mapper->status);
    if (mapper->body.has_value()) answer.body = *mapper->body;
    if (mapper->body_format != nullptr) format = mapper->body_format.get();
    ApplyMutations(mapper->headers, answer.headers, [&x] { return InputOf(x); });
  }
  if (format == nullptr) return;
  x.record.local_reply_body = answer.body;
  answer.body = AccessLine(*format, InputOf(x));
  const char* usual = format->json != nullptr ? "application/json" : "text/plain";
  answer.headers.Set(KnownHeader::kContentType,
                     config.content_type.empty() ? usual : config.content_type);
}

}  // namespace weft
