// What an exchange shows to format strings: access logs and header values.
#ifndef WEFT_PROXY_SERVE_FORMAT_INPUT_H_
#define WEFT_PROXY_SERVE_FORMAT_INPUT_H_

#include "proxy/telemetry/format.h"

namespace weft {

struct Exchange;

// Valid as long as the exchange and `response`. Notes in x.record what operators may ask of the
// connection and the route.
FormatInput InputOf(Exchange& x, const ResponseHead* response = nullptr);

// Completes x.record and writes a line to each access log of the listener; when it ends.
void LogExchange(Exchange& x);

// Keep what the access logs show of the final response, and of its trailers.
void NoteResponse(Exchange& x, const Headers& headers);
void NoteResponseTrailers(Exchange& x, const Headers& trailers);
void NoteRequestTrailers(Exchange& x, const Headers& trailers);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_FORMAT_INPUT_H_
