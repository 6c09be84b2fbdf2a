/*
 * Asks a server over kept-alive connections, one request at a time on each, and tells how it went.
 *
 * It shares the machine with who is measured, so it does as little as it can; every server is asked
 * alike. An answer counts when it is whole and its status is 200; anything else ends the program.
 *
 *     asking PORT PATH CONNECTIONS SECONDS < body
 *
 * It prints requests per second, the median and the 99th percentile of the latencies in
 * milliseconds, and what it took of the processor itself in microseconds a request (Linux).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_CONNECTIONS = 256, MOST_BYTES = 65536, PATIENCE_MS = 10000 };

struct connection {
  int file;
  size_t heard; /* bytes of the answer that is coming */
  double asked;
  char answer[MOST_BYTES + 1];
};

static struct connection connections[MOST_CONNECTIONS];
static char request[MOST_BYTES];
static size_t request_bytes;
static double *took;
static size_t answers, room;

static void end(const char *sentence, ...) {
  va_list arguments;
  va_start(arguments, sentence);
  vfprintf(stderr, sentence, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static double processor_seconds(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static void ask(struct connection *each) {
  each->heard = 0;
  each->asked = now();
  if (send(each->file, request, request_bytes, MSG_NOSIGNAL) != (ssize_t)request_bytes)
    end("The request was not sent at once: %s.", strerror(errno));
}

/* Return how many bytes the answer has that begins so; 0 while its head is not whole. */
static size_t size(const struct connection *each) {
  static const char OK[] = "HTTP/1.1 200 ", LENGTH[] = "\r\ncontent-length:";
  const char *head_end = strstr(each->answer, "\r\n\r\n");
  if (head_end == NULL) return 0;
  const char *length = strcasestr(each->answer, LENGTH);
  if (strncmp(each->answer, OK, sizeof OK - 1) != 0 || length == NULL || length > head_end)
    end("%s", each->answer);
  return (size_t)(head_end + 4 - each->answer) + strtoul(length + sizeof LENGTH - 1, NULL, 10);
}

static void hear(struct connection *each) {
  ssize_t came = recv(each->file, each->answer + each->heard, MOST_BYTES - each->heard, 0);
  if (came <= 0) end("The server closed a connection, or its answer is too long.");
  each->heard += (size_t)came;
  each->answer[each->heard] = 0;
  if (each->heard != size(each)) return; /* there is more to come */
  if (answers == room) {
    room = room ? 2 * room : MOST_BYTES;
    took = realloc(took, room * sizeof *took);
    if (took == NULL) end("There is no memory for so many answers.");
  }
  took[answers++] = now() - each->asked;
  ask(each);
}

static int connect_to(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  int file = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (file < 0 || connect(file, (struct sockaddr *)&address, sizeof address) != 0)
    end("Nobody answers on port %d: %s.", port, strerror(errno));
  setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  return file;
}

static int by_length(const void *one, const void *other) {
  double a = *(const double *)one, b = *(const double *)other;
  return (a > b) - (a < b);
}

int main(int count, char **arguments) {
  if (count != 5) end("asking PORT PATH CONNECTIONS SECONDS < body");
  int port = atoi(arguments[1]), number = atoi(arguments[3]);
  double seconds = atof(arguments[4]);
  if (number < 1 || number > MOST_CONNECTIONS) end("1 to %d connections.", MOST_CONNECTIONS);
  static char body[MOST_BYTES / 2];
  size_t length = fread(body, 1, sizeof body, stdin);
  int head = snprintf(request, sizeof request,
                      "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
                      "Accept: application/json\r\nContent-Length: %zu\r\n\r\n",
                      arguments[2], port, length);
  if (length == sizeof body || head < 0 || (size_t)head > sizeof request - length)
    end("A larger request is not sent at once.");
  memcpy(request + head, body, length);
  request_bytes = (size_t)head + length;

  int events = epoll_create1(0);
  double before = processor_seconds();
  for (int at = 0; at < number; at++) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[at]};
    connections[at].file = connect_to(port);
    epoll_ctl(events, EPOLL_CTL_ADD, connections[at].file, &event);
    ask(&connections[at]);
  }
  double began = now(), whole = 0;
  while ((whole = now() - began) < seconds) {
    struct epoll_event ready[MOST_CONNECTIONS];
    int found = epoll_wait(events, ready, number, PATIENCE_MS);
    if (found <= 0) end("No answer within %d ms.", PATIENCE_MS);
    for (int at = 0; at < found; at++) hear(ready[at].data.ptr);
  }
  double cpu = processor_seconds() - before;
  if (answers == 0) end("Nobody answered in so short a time.");
  qsort(took, answers, sizeof *took, by_length);
  printf("{\"rate\": %.3f, \"p50\": %.4f, \"p99\": %.4f, \"asker\": %.3f}\n",
         (double)answers / whole, 1e3 * took[answers / 2], 1e3 * took[answers * 99 / 100],
         1e6 * cpu / (double)answers);
}
