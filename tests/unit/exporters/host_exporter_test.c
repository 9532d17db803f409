#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host_machine.h"
#include "narthex/base/number.h"
#include "narthex/base/thread.h"

static void stat_and_cpu(void **state)
{
    struct machine *machine = *state;
    put(machine, "proc/stat",
        "cpu  300 20 30 4000 50 6 7 8 9 10\n"
        "cpu0 100 10 10 2000 25 3 3 4 5 6\n"
        "cpu3 200 10 20 2000 25 3 4 4 4 4\n"
        "intr 12345 1 2 3\nctxt 67890\nbtime 1700000000\nprocesses 42\n"
        "procs_running 3\nprocs_blocked 1\nsoftirq 9 9\n");
    const char *text = collect(machine, "stat");
    EXPECT_LINES(text, "# TYPE node_intr_total counter", "node_intr_total 12345",
                 "node_context_switches_total 67890", "# TYPE node_boot_time_seconds gauge",
                 "node_boot_time_seconds 1.7e+09", "node_forks_total 42", "node_procs_running 3",
                 "node_procs_blocked 1", "node_scrape_collector_success{collector=\"stat\"} 1");
    assert_null(strstr(text, "collector=\"cpu\""));
    text = collect(machine, "cpu");
    EXPECT_LINES(text, "# TYPE node_cpu_seconds_total counter",
                 "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 1",
                 "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 20",
                 "node_cpu_seconds_total{cpu=\"3\",mode=\"steal\"} 0.04",
                 "node_cpu_guest_seconds_total{cpu=\"0\",mode=\"user\"} 0.05",
                 "node_cpu_guest_seconds_total{cpu=\"0\",mode=\"nice\"} 0.06");
    assert_null(strstr(text, "cpu=\"\""));
}

static void cpu_counters_step_back_only_after_hotplug(void **state)
{
    struct machine *machine = *state;
    put(machine, "proc/stat", "cpu0 100 0 0 2000 50 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\n");
    collect(machine, "cpu");
    /* Small steps back are held, the CPU that vanished is not shown. */
    put(machine, "proc/stat", "cpu0 110 0 0 1999 40 0 0 0 0 0\n");
    const char *text = collect(machine, "cpu");
    EXPECT_LINES(text, "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 1.1",
                 "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 20",
                 "node_cpu_seconds_total{cpu=\"0\",mode=\"iowait\"} 0.5");
    assert_null(strstr(text, "cpu=\"1\""));
    put(machine, "proc/stat", "cpu0 5 0 0 10 1 0 0 0 0 0\n");
    EXPECT_LINES(collect(machine, "cpu"), "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 0.05",
                 "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 0.1",
                 "node_cpu_seconds_total{cpu=\"0\",mode=\"iowait\"} 0.01");
}

static void throttling_is_counted_once_a_core_and_package(void **state)
{
    struct machine *machine = *state;
    put(machine, "proc/stat", "cpu0 1 0 0 0\ncpu1 1 0 0 0\n");
    for (int cpu = 0; cpu < 2; cpu++) {
        static const struct {
            const char *name;
            const char *content;
        } files[] = {{"topology/physical_package_id", "0\n"},
                     {"topology/core_id", "7\n"},
                     {"thermal_throttle/core_throttle_count", "5\n"},
                     {"thermal_throttle/package_throttle_count", "9\n"}};
        for (size_t i = 0; i < 4; i++) {
            char name[128];
            snprintf(name, sizeof name, "sys/devices/system/cpu/cpu%d/%s", cpu, files[i].name);
            put(machine, name, files[i].content);
        }
    }
    const char *text = collect(machine, "cpu");
    EXPECT_LINES(text, "node_cpu_core_throttles_total{core=\"7\",package=\"0\"} 5",
                 "node_cpu_package_throttles_total{package=\"0\"} 9");
    const char *first = strstr(text, "\nnode_cpu_core_throttles_total{");
    assert_non_null(first);
    assert_null(strstr(first + 1, "\nnode_cpu_core_throttles_total{"));
}

static void meminfo_and_vmstat(void **state)
{
    struct machine *machine = *state;
    put(machine, "proc/meminfo",
        "MemTotal:       16384 kB\nActive(anon):     2 kB\nHugePages_Total:       4\nbroken\n");
    EXPECT_LINES(collect(machine, "meminfo"), "# TYPE node_memory_MemTotal_bytes gauge",
                 "node_memory_MemTotal_bytes 1.6777216e+07", "node_memory_Active_anon_bytes 2048",
                 "node_memory_HugePages_Total 4");
    put(machine, "proc/vmstat",
        "nr_free_pages 1\npgpgin 2\npswpout 3\npgmajfault 4\noom_kill 5\npgscan_x 6\n");
    const char *text = collect(machine, "vmstat");
    EXPECT_LINES(text, "# TYPE node_vmstat_pgpgin untyped", "node_vmstat_pgpgin 2",
                 "node_vmstat_pswpout 3", "node_vmstat_pgmajfault 4", "node_vmstat_oom_kill 5");
    assert_null(strstr(text, "nr_free"));
    assert_null(strstr(text, "pgscan"));
}

static void small_files(void **state)
{
    struct machine *machine = *state;
    put(machine, "proc/loadavg", "0.50 1.25 12.00 3/456 789\n");
    EXPECT_LINES(collect(machine, "loadavg"), "node_load1 0.5", "node_load5 1.25",
                 "node_load15 12");
    put(machine, "proc/sys/fs/file-nr", "1024\t0\t9223372036854775807\n");
    EXPECT_LINES(collect(machine, "filefd"), "node_filefd_allocated 1024",
                 "node_filefd_maximum 9.223372036854776e+18");
    put(machine, "proc/sys/kernel/random/entropy_avail", "256\n");
    put(machine, "proc/sys/kernel/random/poolsize", "4096\n");
    EXPECT_LINES(collect(machine, "entropy"), "node_entropy_available_bits 256",
                 "node_entropy_pool_size_bits 4096");
    put(machine, "proc/pressure/cpu",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=14036781\nfull avg10=0.00 total=5\n");
    put(machine, "proc/pressure/io", "some avg10=1.00 total=2500000\nfull avg10=0.00 total=1\n");
    const char *text = collect(machine, "pressure");
    EXPECT_LINES(text, "# TYPE node_pressure_cpu_waiting_seconds_total counter",
                 "node_pressure_cpu_waiting_seconds_total 14.036781",
                 "node_pressure_io_waiting_seconds_total 2.5",
                 "node_pressure_io_stalled_seconds_total 1e-06");
    assert_null(strstr(text, "memory"));
    put(machine, "proc/schedstat",
        "version 15\ntimestamp 1\ncpu0 0 0 0 0 0 0 2000000000 500000000 77\ndomain0 03 1 2\n");
    EXPECT_LINES(collect(machine, "schedstat"), "node_schedstat_running_seconds_total{cpu=\"0\"} 2",
                 "node_schedstat_waiting_seconds_total{cpu=\"0\"} 0.5",
                 "node_schedstat_timeslices_total{cpu=\"0\"} 77");
}

static void disks(void **state)
{
    struct machine *machine = *state;
    put(machine, "proc/diskstats",
        "   7       0 loop0 1 1 1 1 1 1 1 1 1 1 1\n"
        "   1       0 ram15 1 1 1 1 1 1 1 1 1 1 1\n"
        "   8       0 sda 10 2 300 4500 20 3 400 5500 1 6500 7500 8 9 11 1200 13 1400\n"
        "   8       1 sda1 1 1 1 1 1 1 1 1 1 1 1\n"
        " 259       0 nvme0n1 1 2 3 4 5 6 7 8 9 10 11\n"
        " 259       1 nvme0n1p1 1 2 3 4 5 6 7 8 9 10 11\n"
        " 254       0 dm-0 1 2 3 4 5 6 7 8 9 10 11\n"
        " 252       0 zram0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n"
        "   8      16 sdb 1 2 3\n");
    put(machine, "udev/b8:0",
        "S:disk/by-id/x\nE:ID_MODEL=SuperDisk\nE:ID_PATH=pci-1\n"
        "E:ID_REVISION=R1\nE:ID_SERIAL_SHORT=S1\nE:ID_WWN=0x5\n");
    put(machine, "udev/b254:0",
        "E:DM_NAME=vg-lv\nE:DM_UUID=U\nE:DM_VG_NAME=vg\nE:DM_LV_NAME=lv\n"
        "E:ID_FS_TYPE=ext4\nE:ID_FS_USAGE=filesystem\nE:ID_FS_UUID=F\n"
        "E:ID_FS_VERSION=1.0\n");
    const char *text = collect(machine, "diskstats");
    EXPECT_LINES(
        text, "# TYPE node_disk_reads_completed_total counter", "# TYPE node_disk_io_now gauge",
        "node_disk_reads_completed_total{device=\"sda\"} 10",
        "node_disk_read_bytes_total{device=\"sda\"} 153600",
        "node_disk_read_time_seconds_total{device=\"sda\"} 4.5",
        "node_disk_written_bytes_total{device=\"sda\"} 204800",
        "node_disk_io_now{device=\"sda\"} 1", "node_disk_io_time_seconds_total{device=\"sda\"} 6.5",
        "node_disk_io_time_weighted_seconds_total{device=\"sda\"} 7.5",
        "node_disk_discarded_sectors_total{device=\"sda\"} 11",
        "node_disk_discard_time_seconds_total{device=\"zram0\"} 0.015",
        "node_disk_flush_requests_time_seconds_total{device=\"sda\"} 1.4",
        "node_disk_writes_merged_total{device=\"nvme0n1\"} 6",
        "node_disk_info{device=\"sda\",major=\"8\",minor=\"0\",model=\"SuperDisk\",path=\"pci-1\","
        "revision=\"R1\",serial=\"S1\",wwn=\"0x5\"} 1",
        "node_disk_info{device=\"nvme0n1\",major=\"259\",minor=\"0\",model=\"\",path=\"\","
        "revision=\"\",serial=\"\",wwn=\"\"} 1",
        "node_disk_device_mapper_info{device=\"dm-0\",lv_layer=\"\",lv_name=\"lv\",name=\"vg-lv\","
        "uuid=\"U\",vg_name=\"vg\"} 1",
        "node_disk_filesystem_info{device=\"dm-0\",type=\"ext4\",usage=\"filesystem\",uuid=\"F\","
        "version=\"1.0\"} 1");
    static const char *const absent[] = {
        "\"loop0\"", "\"ram15\"", "\"sda1\"",
        "nvme0n1p1", "\"sdb\"",   "node_disk_discards_completed_total{device=\"dm-0\""};
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        assert_null(strstr(text, absent[i]));
}

static void filesystems(void **state)
{
    struct machine *machine = *state;
    put(machine, "root/mnt/a b/file", "");
    struct strbuf table = STRBUF_INIT;
    const char *root = machine->folder;
    strbuf_printf(&table, "21 1 8:1 / %s/root rw,noatime shared:1 - ext4 /dev/sda1 rw\n", root);
    strbuf_printf(&table, "22 21 8:2 / %s/root/mnt/a\\040b ro - xfs /dev/sd\\134b ro\n", root);
    strbuf_printf(&table, "23 21 8:3 / %s/root/gone rw master:1 shared:2 - ext4 /dev/sdc rw\n",
                  root);
    strbuf_printf(&table, "24 21 0:5 / %s/root/proc rw - proc proc rw\n", root);
    strbuf_printf(&table, "25 21 0:6 / %s/root/dev/shm rw - tmpfs tmpfs rw\n", root);
    strbuf_printf(&table, "26 21 0:7 / %s/root/var/lib/docker/x/y rw - ext4 d rw\n", root);
    strbuf_printf(&table, "27 21 0:8 / /elsewhere rw - ext4 /dev/sde rw\n");
    strbuf_printf(&table, "28 21 8:1 / %s/root rw,noatime - ext4 /dev/sda1 rw\n", root);
    strbuf_printf(&table, "short line\n");
    put(machine, "proc/1/mountinfo", table.data);
    strbuf_deinit(&table);
    const char *text = collect(machine, "filesystem");
    EXPECT_LINES(
        text, "# TYPE node_filesystem_device_error gauge",
        "node_filesystem_device_error{device=\"/dev/sda1\",fstype=\"ext4\",mountpoint=\"/\"} 0",
        "node_filesystem_readonly{device=\"/dev/sda1\",fstype=\"ext4\",mountpoint=\"/\"} 0",
        "node_filesystem_readonly{device=\"/dev/sd\\\\b\",fstype=\"xfs\",mountpoint=\"/mnt/a b\"} "
        "1",
        "node_filesystem_device_error{device=\"/dev/sdc\",fstype=\"ext4\",mountpoint=\"/gone\"} 1",
        "node_filesystem_mount_info{device=\"/dev/sdc\",major=\"8\",minor=\"3\","
        "mountpoint=\"/gone\"} 1");
    assert_non_null(strstr(text, "\nnode_filesystem_size_bytes{device=\"/dev/sda1\""));
    assert_null(strstr(text, "node_filesystem_size_bytes{device=\"/dev/sdc\""));
    static const char *const absent[] = {"/proc", "/dev/shm", "docker", "elsewhere"};
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        assert_null(strstr(text, absent[i]));
}

static void network_devices(void **state)
{
    struct machine *machine = *state;
    put(machine, "proc/net/dev",
        "Inter-|   Receive  |  Transmit\n face |bytes    packets errs|bytes\n"
        "  eth0:   1    2    3    4    5     6          7         8        9 10 11 12 13 14 15 16\n"
        "veth1:100 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n");
    put(machine, "sys/class/net/eth0/statistics/rx_nohandler", "17\n");
    static const struct {
        const char *name;
        const char *content;
    } files[] = {
        {"ifindex", "2\n"},    {"carrier", "1\n"},        {"dev_id", "0x10\n"},
        {"flags", "0x1003\n"}, {"mtu", "1500\n"},         {"speed", "1000\n"},
        {"operstate", "up\n"}, {"ifalias", "\n"},         {"address", "02:00:00:00:00:01\n"},
        {"duplex", "full\n"},  {"carrier_changes", "4\n"}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char name[64];
        snprintf(name, sizeof name, "sys/class/net/eth0/%s", files[i].name);
        put(machine, name, files[i].content);
    }
    put(machine, "sys/class/net/veth1/ifindex", "3\n");
    put(machine, "sys/class/net/veth1/speed", "-1\n");
    put(machine, "sys/class/net/bonding_masters", "\n");
    EXPECT_LINES(collect(machine, "netdev"), "# TYPE node_network_receive_bytes_total counter",
                 "node_network_receive_bytes_total{device=\"eth0\"} 1",
                 "node_network_receive_multicast_total{device=\"eth0\"} 8",
                 "node_network_transmit_bytes_total{device=\"eth0\"} 9",
                 "node_network_transmit_colls_total{device=\"eth0\"} 14",
                 "node_network_transmit_compressed_total{device=\"eth0\"} 16",
                 "node_network_receive_nohandler_total{device=\"eth0\"} 17",
                 "node_network_receive_bytes_total{device=\"veth1\"} 100");
    const char *text = collect(machine, "netclass");
    EXPECT_LINES(text, "# TYPE node_network_carrier_changes_total counter",
                 "node_network_carrier{device=\"eth0\"} 1",
                 "node_network_flags{device=\"eth0\"} 4099",
                 "node_network_device_id{device=\"eth0\"} 16",
                 "node_network_speed_bytes{device=\"eth0\"} 1.25e+08",
                 "node_network_up{device=\"eth0\"} 1", "node_network_up{device=\"veth1\"} 0",
                 "node_network_info{address=\"02:00:00:00:00:01\",broadcast=\"\",device=\"eth0\","
                 "duplex=\"full\",ifalias=\"\",operstate=\"up\"} 1");
    assert_null(strstr(text, "speed_bytes{device=\"veth1\""));
    assert_null(strstr(text, "bonding"));
}

static void protocol_counters(void **state)
{
    struct machine *machine = *state;
    put(machine, "proc/net/netstat",
        "TcpExt: SyncookiesSent TW ListenDrops\nTcpExt: 1 2 3\nIpExt: InOctets\nIpExt: 4\n");
    put(machine, "proc/net/snmp",
        "Ip: Forwarding DefaultTTL\nIp: 1 64\nTcp: MaxConn CurrEstab InErrs\nTcp: -1 5 6\n");
    put(machine, "proc/net/snmp6", "Ip6InOctets 7\nUdp6NoPorts 8\nUdpLite6InErrors\t9\nIp6X 1\n");
    const char *text = collect(machine, "netstat");
    EXPECT_LINES(text, "# TYPE node_netstat_TcpExt_SyncookiesSent untyped",
                 "node_netstat_TcpExt_SyncookiesSent 1", "node_netstat_TcpExt_ListenDrops 3",
                 "node_netstat_IpExt_InOctets 4", "node_netstat_Ip_Forwarding 1",
                 "node_netstat_Tcp_CurrEstab 5", "node_netstat_Tcp_InErrs 6",
                 "node_netstat_Ip6_InOctets 7", "node_netstat_Udp6_NoPorts 8",
                 "node_netstat_UdpLite6_InErrors 9");
    assert_null(strstr(text, "MaxConn"));
    assert_null(strstr(text, "_TW"));
    put(machine, "proc/net/sockstat", "sockets: used 21\nTCP: inuse 4 orphan 0 mem 2\n");
    EXPECT_LINES(collect(machine, "sockstat"), "node_sockstat_sockets_used 21",
                 "node_sockstat_TCP_inuse 4", "node_sockstat_TCP_mem 2",
                 "node_sockstat_TCP_mem_bytes 8192");
}

static void network_tables(void **state)
{
    struct machine *machine = *state;
    put(machine, "proc/net/arp",
        "IP address HW type Flags HW address Mask Device\n1.1.1.1 0x1 0x2 aa * eth0\n"
        "1.1.1.2 0x1 0x2 ab * eth1\n1.1.1.3 0x1 0x2 ac * eth0\n");
    EXPECT_LINES(collect(machine, "arp"), "node_arp_entries{device=\"eth0\"} 2",
                 "node_arp_entries{device=\"eth1\"} 1");
    put(machine, "proc/net/softnet_stat",
        "0000001f 00000001 00000002 0 0 0 0 0 00000003 00000004 00000005 00000006 00000002 0 0\n"
        "000000ff 00000000 00000000\n");
    EXPECT_LINES(
        collect(machine, "softnet"), "node_softnet_processed_total{cpu=\"2\"} 31",
        "node_softnet_dropped_total{cpu=\"2\"} 1", "node_softnet_times_squeezed_total{cpu=\"2\"} 2",
        "node_softnet_received_rps_total{cpu=\"2\"} 4", "# TYPE node_softnet_backlog_len gauge",
        "node_softnet_backlog_len{cpu=\"2\"} 6", "node_softnet_processed_total{cpu=\"1\"} 255");
    put(machine, "proc/sys/net/netfilter/nf_conntrack_count", "12\n");
    put(machine, "proc/sys/net/netfilter/nf_conntrack_max", "65536\n");
    put(machine, "proc/net/stat/nf_conntrack",
        "entries  found insert_failed\n0000000c 00000010 00000001\n0000000c 00000001 00000002\n");
    const char *text = collect(machine, "conntrack");
    EXPECT_LINES(text, "node_nf_conntrack_entries 12", "node_nf_conntrack_entries_limit 65536",
                 "node_nf_conntrack_stat_found 17", "node_nf_conntrack_stat_insert_failed 3");
    assert_null(strstr(text, "search_restart"));
    put(machine, "proc/net/udp",
        "  sl  local_address rem_address   st tx_queue rx_queue\n"
        "  1: 00000000:0044 00000000:0000 07 00000010:00000001 00:00000000\n"
        "  2: 00000000:0044 00000000:0000 07 00000001:00000002 00:00000000\n");
    EXPECT_LINES(collect(machine, "udp_queues"), "node_udp_queues{ip=\"v4\",queue=\"tx\"} 17",
                 "node_udp_queues{ip=\"v4\",queue=\"rx\"} 3");
}

static void release_and_clock_sources(void **state)
{
    struct machine *machine = *state;
    put(machine, "root/usr/lib/os-release",
        "NAME=\"Some \\\"OS\\\"\"\nID=some\nVERSION_ID='12.4.1'\n# comment\n"
        "SUPPORT_END=2026-06-10\n");
    EXPECT_LINES(collect(machine, "os"),
                 "node_os_info{build_id=\"\",id=\"some\",id_like=\"\",image_id=\"\","
                 "image_version=\"\",name=\"Some \\\"OS\\\"\",pretty_name=\"\",variant=\"\","
                 "variant_id=\"\",version=\"\",version_codename=\"\",version_id=\"12.4.1\"} 1",
                 "node_os_version{id=\"some\",id_like=\"\",name=\"Some \\\"OS\\\"\"} 12.4",
                 "node_os_support_end_timestamp_seconds 1.7810496e+09");
    put(machine, "sys/devices/system/clocksource/clocksource0/available_clocksource",
        "tsc hpet \n");
    put(machine, "sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
    EXPECT_LINES(collect(machine, "time"),
                 "node_time_clocksource_available_info{clocksource=\"tsc\",device=\"0\"} 1",
                 "node_time_clocksource_available_info{clocksource=\"hpet\",device=\"0\"} 1",
                 "node_time_clocksource_current_info{clocksource=\"tsc\",device=\"0\"} 1");
}

static void text_files_are_merged_and_bad_ones_left_out(void **state)
{
    struct machine *machine = *state;
    EXPECT_LINES(collect(machine, "textfile"), "node_textfile_scrape_error 1",
                 "node_scrape_collector_success{collector=\"textfile\"} 1");
    put(machine, "text/a.prom",
        "# HELP job_ok Went \\\\ well.\n# TYPE job_ok gauge\njob_ok{job=\"a\"} 1\n"
        "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n"
        "plain 4\n");
    put(machine, "text/b.prom", "# TYPE job_ok gauge\njob_ok{job=\"b\\\"\"} 0\n");
    put(machine, "text/note.txt", "other 1\n");
    const char *text = collect(machine, "textfile");
    EXPECT_LINES(text, "node_textfile_scrape_error 0", "# TYPE job_ok gauge",
                 "# HELP job_ok Went \\\\ well.", "job_ok{job=\"a\"} 1", "job_ok{job=\"b\\\"\"} 0",
                 "# TYPE h histogram", "h_bucket{le=\"1\"} 2", "h_sum 3", "h_count 2",
                 "# TYPE plain untyped", "plain 4");
    assert_null(strstr(text, "other"));
    assert_non_null(strstr(text, "text/a.prom\"} "));

    put(machine, "text/c.prom", "good 1\nstamped 1 1234\n");
    put(machine, "text/d.prom", "good 2\nbroken{ 1\n");
    put(machine, "text/e.prom", "# TYPE job_ok counter\njob_ok{job=\"e\"} 0\nfine 5\n");
    put(machine, "text/f.prom", "plain 9\ntwice{a=\"1\",b=\"2\"} 3\n");
    put(machine, "text/g.prom", "twice{a=\"1\",a=\"2\"} 3\n");
    put(machine, "text/h.prom", "# HELP late Wrong.\n# TYPE late counter\nlate 1\nbroken{ 1\n");
    put(machine, "text/i.prom", "# TYPE late gauge\nlate 7\n");
    text = collect(machine, "textfile");
    EXPECT_LINES(text, "node_textfile_scrape_error 1", "plain 4", "fine 5",
                 "twice{a=\"1\",b=\"2\"} 3", "# TYPE late gauge", "late 7");
    static const char *const absent[] = {"good",        "stamped", "broken",      "job=\"e\"",
                                         "plain 9",     "a=\"2\"", "text/c.prom", "text/d.prom",
                                         "text/g.prom", "Wrong."};
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        assert_null(strstr(text, absent[i]));
}

static void what_is_missing_fails_alone(void **state)
{
    struct machine *machine = *state;
    put(machine, "proc/loadavg", "nonsense\n");
    put(machine, "proc/vmstat", "pgpgin 1\n");
    const char *text = collect(machine, NULL);
    EXPECT_LINES(text, "node_scrape_collector_success{collector=\"loadavg\"} 0",
                 "node_scrape_collector_success{collector=\"meminfo\"} 0",
                 "node_scrape_collector_success{collector=\"vmstat\"} 1",
                 "node_scrape_collector_success{collector=\"uname\"} 1", "node_vmstat_pgpgin 1");
}

static void filters_choose_collectors(void **state)
{
    struct machine *machine = *state;
    put(machine, "proc/loadavg", "1 2 3\n");
    collect(machine, "loadavg");
    struct metric_writer writer;
    strbuf_clear(&machine->answer);
    metric_writer_init(&writer, &machine->answer);
    const struct str name = STR("loadavg");
    const struct str unknown = STR("no such");
    struct host_exporter_filter filter = {.except = &name, .except_count = 1};
    assert_int_equal(host_exporter_collect(machine->exporter, &writer, &filter, &machine->why), OK);
    assert_null(strstr(machine->answer.data, "loadavg"));
    assert_non_null(strstr(machine->answer.data, "collector=\"uname\""));
    strbuf_clear(&machine->answer);
    filter = (struct host_exporter_filter){.only = &unknown, .only_count = 1};
    assert_int_equal(host_exporter_collect(machine->exporter, &writer, &filter, &machine->why),
                     ERR_INVALID);
    assert_string_equal(machine->why.data, "missing collector: no such");
    assert_int_equal(host_exporter_switch(machine->exporter, unknown, true, &machine->why),
                     ERR_INVALID);
    assert_int_equal(host_exporter_switch(machine->exporter, name, false, &machine->why), OK);
    filter = (struct host_exporter_filter){.only = &name, .only_count = 1};
    assert_int_equal(host_exporter_collect(machine->exporter, &writer, &filter, &machine->why),
                     ERR_INVALID);
    assert_string_equal(machine->why.data, "disabled collector: loadavg");
    filter = (struct host_exporter_filter){&name, 1, &name, 1};
    assert_int_equal(host_exporter_collect(machine->exporter, &writer, &filter, &machine->why),
                     ERR_INVALID);
    assert_int_equal(machine->answer.size, 0);
    metric_writer_deinit(&writer);
}

/* Every line is HELP, TYPE or a sample of the family that TYPE named, and each family comes once.
 */
static void expect_text_format(char *text)
{
    char family[256] = "";
    size_t family_count = 0;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL && rest != NULL;) {
        char kind[32];
        if (strncmp(line, "# HELP ", 7) == 0)
            continue;
        if (sscanf(line, "# TYPE %255s %31s", family, kind) == 2) {
            family_count++;
            continue;
        }
        size_t size = strlen(family);
        if (strncmp(line, family, size) != 0 || (line[size] != ' ' && line[size] != '{'))
            fail_msg("%s does not belong to %s", line, family);
        const char *value = strrchr(line, ' ') + 1;
        double v;
        assert_int_equal(number_scan(value, strlen(value), &v), strlen(value));
    }
    assert_true(family_count > 100);
}

static void the_real_machine_gives_the_text_format(void **state)
{
    struct machine *machine = *state;
    machine->exporter = host_exporter_create(NULL);
    for (int i = 0; i < 2; i++) {
        collect(machine, NULL);
        struct metric_writer writer;
        metric_writer_init(&writer, &machine->answer);
        process_exporter_collect(&writer);
        metric_writer_deinit(&writer);
        EXPECT_LINES(machine->answer.data, "node_scrape_collector_success{collector=\"stat\"} 1",
                     "node_scrape_collector_success{collector=\"cpu\"} 1",
                     "node_scrape_collector_success{collector=\"meminfo\"} 1",
                     "# TYPE process_cpu_seconds_total counter");
        expect_text_format(machine->answer.data);
    }
}

enum { ASKERS = 4 };

static void ask(void *context)
{
    struct machine *machine = context;
    struct strbuf answer = STRBUF_INIT;
    struct strbuf why = STRBUF_INIT;
    struct metric_writer writer;
    metric_writer_init(&writer, &answer);
    assert_int_equal(host_exporter_collect(machine->exporter, &writer, NULL, &why), OK);
    metric_writer_deinit(&writer);
    strbuf_deinit(&answer);
    strbuf_deinit(&why);
}

static void several_threads_may_ask(void **state)
{
    struct machine *machine = *state;
    machine->exporter = host_exporter_create(NULL);
    struct thread threads[ASKERS];
    for (int i = 0; i < ASKERS; i++)
        thread_start(&threads[i], "ask", ask, machine);
    for (int i = 0; i < ASKERS; i++)
        thread_join(&threads[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stat_and_cpu, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cpu_counters_step_back_only_after_hotplug, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(throttling_is_counted_once_a_core_and_package, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(meminfo_and_vmstat, set_up, tear_down),
        cmocka_unit_test_setup_teardown(small_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(disks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(filesystems, set_up, tear_down),
        cmocka_unit_test_setup_teardown(network_devices, set_up, tear_down),
        cmocka_unit_test_setup_teardown(protocol_counters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(network_tables, set_up, tear_down),
        cmocka_unit_test_setup_teardown(release_and_clock_sources, set_up, tear_down),
        cmocka_unit_test_setup_teardown(text_files_are_merged_and_bad_ones_left_out, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_missing_fails_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(filters_choose_collectors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_real_machine_gives_the_text_format, set_up, tear_down),
        cmocka_unit_test_setup_teardown(several_threads_may_ask, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
