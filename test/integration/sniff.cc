// Writes every frame of one network interface to standard output, each with its length (four bytes,
// of this machine's order) in front, until standard input ends. First come four zero bytes: from
// then on nothing is missed.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

namespace {

bool WriteAll(const void* data, size_t size) {
  return write(STDOUT_FILENO, data, size) == static_cast<ssize_t>(size);
}

bool CopyWaitingFrames(int fd, std::vector<char>* buffer) {
  for (;;) {
    ssize_t n = recv(fd, buffer->data(), buffer->size(), MSG_DONTWAIT);
    if (n < 0) return true;
    uint32_t size = static_cast<uint32_t>(n);
    if (!WriteAll(&size, sizeof(size)) || !WriteAll(buffer->data(), size)) return false;
  }
}

}  // namespace

int main(int argc, char** argv) {
  sockaddr_ll address = {};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = argc == 2 ? static_cast<int>(if_nametoindex(argv[1])) : 0;
  int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
  int room = 64 << 20;  // bytes that may wait here while this process does not run
  if (fd < 0 || address.sll_ifindex == 0 ||
      bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    perror("sniff");
    return 1;
  }
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) != 0) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
  }
  uint32_t started = 0;
  if (!WriteAll(&started, sizeof(started))) return 1;
  std::vector<char> buffer(256 << 10);  // larger than any frame, segmentation offload included
  pollfd waiting[2] = {{fd, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
  while (poll(waiting, 2, -1) > 0) {
    if (!CopyWaitingFrames(fd, &buffer)) return 1;
    if (waiting[1].revents != 0) return 0;
  }
  return 1;
}
