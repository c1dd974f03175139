// Mirrors: copies of a request that go to other clusters, whose answers nobody waits for.
#ifndef WEFT_PROXY_SERVE_MIRROR_H_
#define WEFT_PROXY_SERVE_MIRROR_H_

namespace weft {

struct Exchange;

// Sends copies of the request to the mirrors of its route that it falls to, in tasks of their own.
// x.replay is its whole body: a request whose body is larger than what is kept for a retry is not
// mirrored.
void SendMirrors(Exchange& x);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_MIRROR_H_
