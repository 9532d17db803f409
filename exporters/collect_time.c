/* time and timex: the clock, where it comes from, how well it keeps. */
#include <errno.h>
#include <sys/timex.h>
#include <time.h>

#include "collection.h"

static void write_sources(struct collection *collection, const struct fs_list *folders,
                          const char *attribute)
{
    const struct str names[] = {STR_INIT("clocksource"), STR_INIT("device")};
    struct str prefix = STR("clocksource");
    for (size_t i = 0; i < folders->count; i++) {
        struct str device = str_from_cstr(folders->names[i]);
        struct str text;
        if (!str_starts_with(device, prefix) ||
            !collection__attribute(collection, &text, "%s/devices/system/clocksource/%s/%s",
                                   collection->exporter->sysfs, folders->names[i], attribute))
            continue;
        device = str_from(device.data + prefix.size, device.size - prefix.size);
        for (struct str source; text_next_field(&text, &source);) {
            const struct str values[] = {source, device};
            metric_writer_sample(collection->writer, "", names, values, 2, 1);
        }
    }
}

err_t collect__time(struct collection *collection)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct tm local;
    localtime_r(&now.tv_sec, &local);
    collection__single(collection, "node_time_seconds", METRIC_GAUGE,
                       "The system's time, in seconds since 1970.",
                       (double)now.tv_sec + (double)now.tv_nsec / 1e9);
    collection__family(collection, "node_time_zone_offset_seconds", METRIC_GAUGE,
                       "Offset of the system's time zone, in seconds east of UTC.");
    collection__value_of(collection, "time_zone", str_from_cstr(local.tm_zone),
                         (double)local.tm_gmtoff);

    strbuf_clear(&collection->path);
    strbuf_printf(&collection->path, "%s/devices/system/clocksource", collection->exporter->sysfs);
    struct fs_list folders;
    TRY(fs_list_dir(collection->path.data, &folders, &collection->why));
    collection__family(collection, "node_time_clocksource_available_info", METRIC_GAUGE,
                       "A clock source the kernel can use; always 1.");
    write_sources(collection, &folders, "available_clocksource");
    collection__family(collection, "node_time_clocksource_current_info", METRIC_GAUGE,
                       "The clock source the kernel uses; always 1.");
    write_sources(collection, &folders, "current_clocksource");
    fs_list_free(&folders);
    return OK;
}

err_t collect__timex(struct collection *collection)
{
    struct timex timex = {.modes = 0};
    int state = adjtimex(&timex);
    if (state < 0)
        return err_fail_errno(&collection->why, errno, "adjtimex");
    const double micro = 1e6;
    const double ppm = 65536e6; /* frequencies are parts per million in 1/65536 */
    const double fine = (timex.status & STA_NANO) != 0 ? 1e9 : micro;
    const struct {
        const char *name;
        enum metric_type type;
        double value;
        const char *help;
    } rows[] = {
        {"node_timex_offset_seconds", METRIC_GAUGE, (double)timex.offset / fine,
         "Offset between the local clock and its reference, in seconds."},
        {"node_timex_frequency_adjustment_ratio", METRIC_GAUGE, 1 + (double)timex.freq / ppm,
         "Factor the local clock's frequency is adjusted by."},
        {"node_timex_maxerror_seconds", METRIC_GAUGE, (double)timex.maxerror / micro,
         "Greatest possible error of the clock, in seconds."},
        {"node_timex_estimated_error_seconds", METRIC_GAUGE, (double)timex.esterror / micro,
         "Estimated error of the clock, in seconds."},
        {"node_timex_status", METRIC_GAUGE, timex.status, "Status bits of the clock."},
        {"node_timex_loop_time_constant", METRIC_GAUGE, (double)timex.constant,
         "Time constant of the phase-locked loop."},
        {"node_timex_tick_seconds", METRIC_GAUGE, (double)timex.tick / micro,
         "Time between two ticks of the clock, in seconds."},
        {"node_timex_pps_frequency_hertz", METRIC_GAUGE, (double)timex.ppsfreq / ppm,
         "Frequency of the pulse-per-second signal."},
        {"node_timex_pps_jitter_seconds", METRIC_GAUGE, (double)timex.jitter / fine,
         "Jitter of the pulse-per-second signal, in seconds."},
        {"node_timex_pps_shift_seconds", METRIC_GAUGE, timex.shift,
         "Interval of the pulse-per-second signal, in seconds."},
        {"node_timex_pps_stability_hertz", METRIC_GAUGE, (double)timex.stabil / ppm,
         "Stability of the pulse-per-second signal: its recent changes of frequency."},
        {"node_timex_pps_jitter_total", METRIC_COUNTER, (double)timex.jitcnt,
         "Times the pulse-per-second signal's jitter was over its limit."},
        {"node_timex_pps_calibration_total", METRIC_COUNTER, (double)timex.calcnt,
         "Calibration intervals of the pulse-per-second signal."},
        {"node_timex_pps_error_total", METRIC_COUNTER, (double)timex.errcnt,
         "Calibration errors of the pulse-per-second signal."},
        {"node_timex_pps_stability_exceeded_total", METRIC_COUNTER, (double)timex.stbcnt,
         "Times the pulse-per-second signal's stability was over its limit."},
        {"node_timex_tai_offset_seconds", METRIC_GAUGE, timex.tai,
         "Offset between atomic time and UTC, in seconds."},
        {"node_timex_sync_status", METRIC_GAUGE, state != TIME_ERROR,
         "1 if the clock is synchronised to a reliable server, 0 if not."},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        collection__single(collection, rows[i].name, rows[i].type, rows[i].help, rows[i].value);
    return OK;
}
