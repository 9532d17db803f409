/* narthex: reads the command line, starts the server, waits for signals. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "flags.h"
#include "server.h"
#include "service_notify.h"

enum { EXIT_FAILED = 1, EXIT_BAD_INPUT = 2, EXIT_AGENT_MODE = 3 };

/* Each target, client and file takes a descriptor. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void announce(const struct server_flags *flags)
{
    const char *address = flags->listen_addresses.items[0];
    const char *colon = strrchr(address, ':');
    if (strncmp(address, "unix://", 7) == 0 || colon == NULL) {
        printf("Narthex serves on %s\n", address);
    } else {
        printf("Narthex serves on http://localhost%s/\n"
               "Try: curl 'http://localhost%s/api/v1/query?query=rate(node_cpu_seconds_total[1m])'"
               " --globoff\n",
               colon, colon);
    }
    fflush(stdout);
}

/* The number of a signal, or 0 when it is time to say that we are alive. */
static int next_signal(const sigset_t *signals)
{
    int64_t interval_ns = service_notify_interval_ns();
    struct timespec interval = {.tv_sec = interval_ns / 1000000000,
                                .tv_nsec = interval_ns % 1000000000};
    int number =
        interval_ns == 0 ? sigwaitinfo(signals, NULL) : sigtimedwait(signals, NULL, &interval);
    return number > 0 ? number : 0;
}

/* Returns when the server shall stop. */
static void wait_for_signals(struct server *server, const sigset_t *signals)
{
    for (;;) {
        int number = next_signal(signals);
        if (service_notify_interval_ns() > 0) {
            /* Says nothing, and is started anew, when the storage takes no samples any more. */
            server_check(server);
            service_notify_alive();
        }
        if (number == 0)
            continue;
        if (number != SIGHUP) {
            LOG_WARN("Received an OS signal, exiting gracefully...", "signal",
                     number == SIGTERM ? "terminated" : "interrupt");
            return;
        }
        struct strbuf why = STRBUF_INIT;
        /* The failure is logged and counted where it happens. */
        err_t err = server_reload(server, &why);
        (void)err;
        strbuf_deinit(&why);
    }
}

static int run(const struct server_flags *flags)
{
    /* Blocked before any thread starts, so that all of them leave signals to this one. */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    service_notify_init();

    struct server *server;
    struct strbuf why = STRBUF_INIT;
    err_t err = server_start(flags, &server, &why);
    if (err != OK) {
        LOG_ERROR("Narthex cannot start", "err", strbuf_cstr(&why));
        strbuf_deinit(&why);
        return err == ERR_INVALID ? EXIT_BAD_INPUT : EXIT_FAILED;
    }
    strbuf_deinit(&why);
    LOG_INFO("Server is ready to receive web requests.", "version", NARTHEX_VERSION);
    announce(flags);
    service_notify_ready();
    wait_for_signals(server, &signals);
    service_notify_stopping();
    server_stop(server);
    LOG_INFO("See you next time!");
    return 0;
}

int main(int argc, char **argv)
{
    struct server_flags flags;
    struct strbuf text = STRBUF_INIT;
    int status = 0;
    err_t err = server_flags_parse(&flags, argc, argv, &text);
    if (err == ERR_UNSUPPORTED) {
        fprintf(stderr, "%s\n", strbuf_cstr(&text));
        status = EXIT_AGENT_MODE;
    } else if (err != OK) {
        fprintf(stderr,
                "Error parsing command line arguments: %s\nnarthex: error: %s, try --help\n",
                strbuf_cstr(&text), strbuf_cstr(&text));
        status = EXIT_BAD_INPUT;
    } else if (flags.help) {
        server_flags_help(&text);
        fputs(strbuf_cstr(&text), stdout);
    } else if (flags.version) {
        printf("narthex, version %s (answers as Prometheus 3.14)\n", NARTHEX_VERSION);
    } else {
        log_configure(flags.log_level, flags.log_format);
        server_flags_warn(&flags);
        status = run(&flags);
    }
    strbuf_deinit(&text);
    server_flags_deinit(&flags);
    return status;
}
