/* narthex-exporter: serves the host's metrics over HTTP. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exporter_http.h"
#include "narthex/base/log.h"
#include "narthex/exporters/host_exporter.h"

struct settings {
    const char *listen_address;
    const char *telemetry_path;
    const char *procfs;
    const char *sysfs;
    const char *rootfs;
    const char *udev_data;
    const char *textfiles;
    const char *log_level;
    const char *log_format;
    char **collectors; /* "collector.x" and "no-collector.x", taken from the command line */
    int collector_count;
};

static const struct flag {
    const char *name;
    size_t offset; /* of the setting */
    const char *otherwise;
    const char *help;
} flags[] = {
    {"web.listen-address", offsetof(struct settings, listen_address), ":9100",
     "Address and port to listen on; port 0 takes a free one."},
    {"web.telemetry-path", offsetof(struct settings, telemetry_path), "/metrics",
     "Path of the metrics."},
    {"path.procfs", offsetof(struct settings, procfs), "/proc", "Where procfs is mounted."},
    {"path.sysfs", offsetof(struct settings, sysfs), "/sys", "Where sysfs is mounted."},
    {"path.rootfs", offsetof(struct settings, rootfs), "/", "Where the host's root is mounted."},
    {"path.udev.data", offsetof(struct settings, udev_data), "/run/udev/data",
     "Where udev keeps its data."},
    {"collector.textfile.directory", offsetof(struct settings, textfiles), "",
     "Folder of *.prom files to show, too."},
    {"log.level", offsetof(struct settings, log_level), "info",
     "Least severe lines to log: debug, info, warn, error."},
    {"log.format", offsetof(struct settings, log_format), "logfmt",
     "Form of the log: logfmt, json."},
};
enum { FLAG_COUNT = sizeof flags / sizeof *flags };

static const char **setting_of(struct settings *settings, const struct flag *flag)
{
    return (const char **)((char *)settings + flag->offset);
}

static void print_help(void)
{
    printf("usage: narthex-exporter [flags]\n\n");
    for (int i = 0; i < FLAG_COUNT; i++)
        printf("  --%s=\"%s\"\n        %s\n", flags[i].name, flags[i].otherwise, flags[i].help);
    printf("  --[no-]collector.<name>\n        Switch a collector on or off.\n");
    printf("  --version\n        Print the version.\n  --help\n        Print this text.\n");
}

/* The flag that `text` (without dashes) names, and where its value begins, if it has one here. */
static const struct flag *find_flag(const char *text, const char **value)
{
    const char *equals = strchr(text, '=');
    size_t size = equals == NULL ? strlen(text) : (size_t)(equals - text);
    *value = equals == NULL ? NULL : equals + 1;
    for (int i = 0; i < FLAG_COUNT; i++) {
        if (strlen(flags[i].name) == size && memcmp(flags[i].name, text, size) == 0)
            return &flags[i];
    }
    return NULL;
}

static err_t parse_flags(struct settings *settings, int argc, char **argv, struct strbuf *why)
{
    *settings = (struct settings){.collectors = argv};
    for (int i = 0; i < FLAG_COUNT; i++)
        *setting_of(settings, &flags[i]) = flags[i].otherwise;
    for (int i = 1; i < argc; i++) {
        const char *text = argv[i];
        if (strncmp(text, "--", 2) != 0)
            return err_fail(why, ERR_INVALID, "unexpected %s", text);
        const char *value;
        const struct flag *flag = find_flag(text + 2, &value);
        if (flag == NULL &&
            (strncmp(text, "--collector.", 12) == 0 || strncmp(text, "--no-collector.", 15) == 0)) {
            settings->collectors[settings->collector_count++] = argv[i];
            continue;
        }
        if (flag == NULL)
            return err_fail(why, ERR_INVALID, "unknown flag %s", text);
        if (value == NULL && ++i < argc)
            value = argv[i];
        if (value == NULL)
            return err_fail(why, ERR_INVALID, "flag --%s needs a value", flag->name);
        *setting_of(settings, flag) = value;
    }
    if (settings->telemetry_path[0] != '/')
        return err_fail(why, ERR_INVALID, "--web.telemetry-path must begin with a slash");
    return OK;
}

static err_t set_up_log(const struct settings *settings, struct strbuf *why)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    static const char *const formats[] = {"logfmt", "json"};
    size_t level = 0;
    size_t format = 0;
    while (level < 4 && strcmp(settings->log_level, levels[level]) != 0)
        level++;
    while (format < 2 && strcmp(settings->log_format, formats[format]) != 0)
        format++;
    if (level == 4)
        return err_fail(why, ERR_INVALID, "unknown --log.level %s", settings->log_level);
    if (format == 2)
        return err_fail(why, ERR_INVALID, "unknown --log.format %s", settings->log_format);
    log_configure((enum log_level)level, (enum log_format)format);
    return OK;
}

/* The URL is printed with a host that can be asked, whatever address is listened on. */
static void print_url(const struct settings *settings, uint16_t port)
{
    const char *colon = strrchr(settings->listen_address, ':');
    int size = (int)(colon - settings->listen_address);
    printf("listening on http://%.*s:%u%s\n", size == 0 ? (int)strlen("localhost") : size,
           size == 0 ? "localhost" : settings->listen_address, port, settings->telemetry_path);
    fflush(stdout);
}

static err_t switch_collectors(const struct settings *settings, struct host_exporter *exporter,
                               struct strbuf *why)
{
    for (int i = 0; i < settings->collector_count; i++) {
        const char *flag = settings->collectors[i];
        bool on = strncmp(flag, "--no-", 5) != 0;
        TRY(host_exporter_switch(exporter, str_from_cstr(strchr(flag, '.') + 1), on, why));
    }
    return OK;
}

static err_t serve(const struct settings *settings, struct strbuf *why)
{
    /* Before the server's threads start, so that they inherit the mask and only sigwait sees the
     * signals. */
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ending, NULL);
    signal(SIGPIPE, SIG_IGN);

    const struct host_exporter_options options = {settings->procfs, settings->sysfs,
                                                  settings->rootfs, settings->udev_data,
                                                  settings->textfiles};
    struct host_exporter *exporter = host_exporter_create(&options);
    const struct exporter_http_options http_options = {settings->listen_address,
                                                       settings->telemetry_path};
    struct exporter_http *http = NULL;
    err_t err = switch_collectors(settings, exporter, why);
    if (err == OK)
        err = exporter_http_start(&http_options, exporter, &http, why);
    if (err == OK) {
        print_url(settings, exporter_http_port(http));
        int received = 0;
        sigwait(&ending, &received);
        LOG_INFO("stopping", "signal", received == SIGTERM ? "SIGTERM" : "SIGINT");
        exporter_http_stop(http);
    }
    host_exporter_destroy(exporter);
    return err;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        print_help();
        return EXIT_SUCCESS;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("narthex-exporter %s\n", NARTHEX_VERSION);
        return EXIT_SUCCESS;
    }
    struct settings settings;
    struct strbuf why = STRBUF_INIT;
    err_t err = parse_flags(&settings, argc, argv, &why);
    if (err == OK)
        err = set_up_log(&settings, &why);
    if (err == OK)
        err = serve(&settings, &why);
    if (err != OK)
        fprintf(stderr, "narthex-exporter: %s\n", strbuf_cstr(&why));
    strbuf_deinit(&why);
    return err == OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
