// How the body of an HTTP/1 message is framed (RFC 9112, section 6.3): the decision on which
// request smuggling lives. Pure.
#ifndef WEFT_PROXY_HTTP_H1_FRAMING_H_
#define WEFT_PROXY_HTTP_H1_FRAMING_H_

#include "proxy/http/h1_lines.h"
#include "proxy/http/head.h"

namespace weft {

// By the fields alone: kNone if there is neither Content-Length nor Transfer-Encoding.
H1Error FrameByFields(const Headers& headers, HttpVersion version, BodyLength& body);

// Whether the connection persists after a message with these fields (section 9.3).
bool Persists(const Headers& headers, HttpVersion version);

// Whether a trailer of that name could change what the head said, and is to be dropped (RFC 9110,
// section 6.5.1).
bool ForbiddenInTrailers(absl::string_view name);

}  // namespace weft

#endif  // WEFT_PROXY_HTTP_H1_FRAMING_H_
