#include <unistd.h>

#include "host_machine.h"

static void clock_rates_and_heat(void **state)
{
    struct machine *machine = *state;
    put(machine, "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", "4100000\n");
    put(machine, "sys/devices/system/cpu/cpu10/cpufreq/scaling_cur_freq", "1800001\n");
    put(machine, "sys/devices/system/cpu/cpufreq/boost", "1\n");
    const char *text = collect(machine, "cpufreq");
    EXPECT_LINES(text, "node_cpu_frequency_max_hertz{cpu=\"0\"} 4.1e+09",
                 "node_cpu_scaling_frequency_hertz{cpu=\"10\"} 1.800001e+09");
    assert_null(strstr(text, "node_cpu_frequency_min_hertz"));
    put(machine, "sys/class/thermal/thermal_zone4/type", "soc\n");
    put(machine, "sys/class/thermal/thermal_zone4/temp", "61250\n");
    put(machine, "sys/class/thermal/thermal_zone5/type", "no value\n");
    put(machine, "sys/class/thermal/cooling_device0/type", "fan\n");
    put(machine, "sys/class/thermal/cooling_device0/cur_state", "1\n");
    put(machine, "sys/class/thermal/cooling_device0/max_state", "4\n");
    text = collect(machine, "thermal_zone");
    EXPECT_LINES(text, "node_thermal_zone_temp{type=\"soc\",zone=\"4\"} 61.25",
                 "node_cooling_device_cur_state{name=\"0\",type=\"fan\"} 1",
                 "node_cooling_device_max_state{name=\"0\",type=\"fan\"} 4");
    assert_null(strstr(text, "no value"));
}

static void hardware_monitors(void **state)
{
    struct machine *machine = *state;
    const char *chip = "sys/devices/platform/Board.7/hwmon/hwmon0";
    static const struct {
        const char *name;
        const char *content;
    } files[] = {
        {"name", "Chip A\n"},       {"temp1_input", "47500\n"},    {"temp1_label", "in\"side\n"},
        {"temp1_crit", "105000\n"}, {"temp2_input", "bad\n"},      {"fan2_input", "830\n"},
        {"fan2_div", "4\n"},        {"in0_min", "2976\n"},         {"pwm1", "77\n"},
        {"unknown3_input", "1\n"},  {"energy1_input", "5000000\n"}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s/%s", chip, files[i].name);
        put(machine, name, files[i].content);
    }
    put(machine, "sys/class/hwmon/hwmon1/device/name", "old driver\n");
    put(machine, "sys/class/hwmon/hwmon1/device/temp1_input", "20000\n");
    put(machine, "sys/class/hwmon/hwmon9/temp1_input", "21000\n");
    char from[160];
    snprintf(from, sizeof from, "%s/sys/class/hwmon/hwmon0", machine->folder);
    assert_int_equal(symlink("../../devices/platform/Board.7/hwmon/hwmon0", from), 0);
    snprintf(from, sizeof from, "%s/%s/device", machine->folder, chip);
    assert_int_equal(symlink("../../../Board.7", from), 0);

    const char *text = collect(machine, "hwmon");
    EXPECT_LINES(text, "node_hwmon_chip_names{chip=\"platform_board_7\",chip_name=\"chip_a\"} 1",
                 "# TYPE node_hwmon_temp_celsius gauge",
                 "node_hwmon_temp_celsius{chip=\"platform_board_7\",sensor=\"temp1\"} 47.5",
                 "node_hwmon_temp_celsius{chip=\"hwmon9\",sensor=\"temp1\"} 21",
                 "node_hwmon_temp_crit_celsius{chip=\"platform_board_7\",sensor=\"temp1\"} 105",
                 "node_hwmon_sensor_label{chip=\"platform_board_7\",label=\"in\\\"side\","
                 "sensor=\"temp1\"} 1",
                 "node_hwmon_fan_rpm{chip=\"platform_board_7\",sensor=\"fan2\"} 830",
                 "node_hwmon_fan_div{chip=\"platform_board_7\",sensor=\"fan2\"} 4",
                 "node_hwmon_in_min_volts{chip=\"platform_board_7\",sensor=\"in0\"} 2.976",
                 "node_hwmon_pwm{chip=\"platform_board_7\",sensor=\"pwm1\"} 77",
                 "# TYPE node_hwmon_energy_joule_total counter",
                 "node_hwmon_energy_joule_total{chip=\"platform_board_7\",sensor=\"energy1\"} 5");
    assert_non_null(strstr(text, "chip_name=\"old_driver\"} 1"));
    assert_null(strstr(text, "temp2"));
    assert_null(strstr(text, "unknown"));
    const char *first = strstr(text, "# TYPE node_hwmon_temp_celsius ");
    assert_null(strstr(first + 1, "# TYPE node_hwmon_temp_celsius "));
}

static void power_supplies_and_domains(void **state)
{
    struct machine *machine = *state;
    put(machine, "sys/class/power_supply/MAINS/type", "Mains\n");
    put(machine, "sys/class/power_supply/MAINS/online", "1\n");
    put(machine, "sys/class/power_supply/CELL/type", "Battery\n");
    put(machine, "sys/class/power_supply/CELL/status", "Charging\n");
    put(machine, "sys/class/power_supply/CELL/voltage_now", "11400000\n");
    put(machine, "sys/class/power_supply/CELL/temp", "311\n");
    EXPECT_LINES(collect(machine, "powersupplyclass"),
                 "node_power_supply_online{power_supply=\"MAINS\"} 1",
                 "node_power_supply_voltage_volt{power_supply=\"CELL\"} 11.4",
                 "node_power_supply_temp_celsius{power_supply=\"CELL\"} 31.1",
                 "node_power_supply_info{power_supply=\"MAINS\",type=\"Mains\"} 1",
                 "node_power_supply_info{power_supply=\"CELL\",status=\"Charging\","
                 "type=\"Battery\"} 1");
    put(machine, "sys/class/powercap/intel-rapl/enabled", "1\n");
    put(machine, "sys/class/powercap/intel-rapl:1/name", "package-1\n");
    put(machine, "sys/class/powercap/intel-rapl:1/energy_uj", "2500000\n");
    put(machine, "sys/class/powercap/intel-rapl:1:0/name", "dram\n");
    put(machine, "sys/class/powercap/intel-rapl:1:0/energy_uj", "1000000\n");
    put(machine, "sys/class/powercap/intel-rapl:2:0/name", "dram\n");
    put(machine, "sys/class/powercap/intel-rapl:2:0/energy_uj", "3000000\n");
    const char *text = collect(machine, "rapl");
    assert_non_null(strstr(text, "\nnode_rapl_package_joules_total{index=\"1\",path=\"/tmp/"));
    assert_non_null(strstr(text, "/intel-rapl:1\"} 2.5\n"));
    assert_non_null(strstr(text, "\nnode_rapl_dram_joules_total{index=\"0\""));
    assert_non_null(strstr(text, "\nnode_rapl_dram_joules_total{index=\"1\""));
    assert_non_null(strstr(text, "/intel-rapl:2:0\"} 3\n"));
}

static void software_raid(void **state)
{
    struct machine *machine = *state;
    put(machine, "proc/mdstat",
        "Personalities : [raid1]\n"
        "md1 : active raid5 c1[5](S) b1[4] a1[3](F) d1[1]\n"
        "      2000 blocks super 1.2 level 5 [3/2] [UU_]\n"
        "      [==>...]  recovery = 14.2% (284/2000) finish=3.3min speed=9K/sec\n\n"
        "md2 : active (auto-read-only) raid1 b2[1] a2[0]\n"
        "      500 blocks [2/2] [UU]\n      \tresync=PENDING\n\n"
        "md3 : inactive a3[0](S)\n      70 blocks super 1.2\n\n"
        "md4 : active raid0 a4[0] b4[1]\n      80 blocks 64k chunks\n\n"
        "unused devices: <none>\n");
    EXPECT_LINES(collect(machine, "mdadm"), "node_md_disks{device=\"md1\",state=\"active\"} 2",
                 "node_md_disks{device=\"md1\",state=\"failed\"} 1",
                 "node_md_disks{device=\"md1\",state=\"spare\"} 1",
                 "node_md_disks_required{device=\"md1\"} 3",
                 "node_md_state{device=\"md1\",state=\"recovering\"} 1",
                 "node_md_state{device=\"md1\",state=\"active\"} 0",
                 "node_md_blocks{device=\"md1\"} 2000", "node_md_blocks_synced{device=\"md1\"} 284",
                 "node_md_state{device=\"md2\",state=\"resync\"} 1",
                 "node_md_blocks_synced{device=\"md2\"} 0",
                 "node_md_state{device=\"md3\",state=\"inactive\"} 1",
                 "node_md_disks_required{device=\"md3\"} 0",
                 "node_md_disks{device=\"md4\",state=\"active\"} 2",
                 "node_md_blocks_synced{device=\"md4\"} 80");
}

static void small_hardware(void **state)
{
    struct machine *machine = *state;
    put(machine, "sys/class/net/bonding_masters", "bond7 none\n");
    put(machine, "sys/class/net/bond7/bonding/slaves", "a b\n");
    put(machine, "sys/class/net/bond7/lower_a/bonding_slave/mii_status", "up\n");
    put(machine, "sys/class/net/bond7/slave_b/bonding_slave/mii_status", "down\n");
    const char *text = collect(machine, "bonding");
    EXPECT_LINES(text, "node_bonding_slaves{master=\"bond7\"} 2",
                 "node_bonding_active{master=\"bond7\"} 1");
    assert_null(strstr(text, "none"));
    put(machine, "sys/class/dmi/id/sys_vendor", "Maker\n");
    put(machine, "sys/class/dmi/id/bios_date", "02/03/2024\n");
    EXPECT_LINES(collect(machine, "dmi"),
                 "node_dmi_info{bios_date=\"02/03/2024\",system_vendor=\"Maker\"} 1");
    put(machine, "sys/class/nvme/nvme0/model", "Fast Disk   \n");
    put(machine, "sys/class/nvme/nvme0/state", "live\n");
    EXPECT_LINES(collect(machine, "nvme"),
                 "node_nvme_info{device=\"nvme0\",firmware_revision=\"\",model=\"Fast Disk\","
                 "serial=\"\",state=\"live\"} 1");
    put(machine, "sys/devices/system/edac/mc/mc0/ce_count", "12\n");
    put(machine, "sys/devices/system/edac/mc/mc0/ue_noinfo_count", "5\n");
    put(machine, "sys/devices/system/edac/mc/mc0/csrow3/ce_count", "7\n");
    EXPECT_LINES(
        collect(machine, "edac"), "node_edac_correctable_errors_total{controller=\"0\"} 12",
        "node_edac_csrow_correctable_errors_total{controller=\"0\",csrow=\"3\"} 7",
        "node_edac_csrow_uncorrectable_errors_total{controller=\"0\",csrow=\"unknown\"} 5");
    EXPECT_LINES(collect(machine, "selinux"), "node_selinux_enabled 0");
    put(machine, "sys/fs/selinux/enforce", "1");
    put(machine, "root/etc/selinux/config", "# SELINUX=disabled\nSELINUX=permissive\n");
    EXPECT_LINES(collect(machine, "selinux"), "node_selinux_enabled 1",
                 "node_selinux_current_mode 1", "node_selinux_config_mode 0");
}

static void processes_and_interrupts_when_switched_on(void **state)
{
    struct machine *machine = *state;
    collect(machine, "uname");
    struct strbuf *why = &machine->why;
    assert_int_equal(host_exporter_switch(machine->exporter, STR("processes"), true, why), OK);
    assert_int_equal(host_exporter_switch(machine->exporter, STR("interrupts"), true, why), OK);
    put(machine, "proc/7/stat", "7 (a) b) S 1 1 1 0 -1 1 1 1 1 1 1 1 1 1 20 0 2 0 6\n");
    put(machine, "proc/7/task/7/stat", "7 (a) b) S 1 1 1 0 -1 1 1 1 1 1 1 1 1 1 20 0 2 0 6\n");
    put(machine, "proc/7/task/8/stat", "8 (x) D 1 1 1 0 -1 1 1 1 1 1 1 1 1 1 20 0 2 0 6\n");
    put(machine, "proc/9/stat", "torn\n");
    put(machine, "proc/sys/kernel/pid_max", "100\n");
    EXPECT_LINES(collect(machine, "processes"), "node_processes_pids 1", "node_processes_threads 2",
                 "node_processes_state{state=\"S\"} 1",
                 "node_processes_threads_state{thread_state=\"D\"} 1",
                 "node_processes_max_processes 100");
    put(machine, "proc/interrupts",
        "           CPU0       CPU2\n  1:   9   700   IO-APIC   1-edge    i8042, x\n"
        "LOC:  4  6   Local timer interrupts\nERR:   4\n");
    const char *text = collect(machine, "interrupts");
    EXPECT_LINES(text,
                 "node_interrupts_total{cpu=\"2\",devices=\"1-edge i8042, x\",info=\"IO-APIC\","
                 "type=\"1\"} 700",
                 "node_interrupts_total{cpu=\"0\",devices=\"\",info=\"Local timer interrupts\","
                 "type=\"LOC\"} 4");
    assert_null(strstr(text, "ERR"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(clock_rates_and_heat, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hardware_monitors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(power_supplies_and_domains, set_up, tear_down),
        cmocka_unit_test_setup_teardown(software_raid, set_up, tear_down),
        cmocka_unit_test_setup_teardown(small_hardware, set_up, tear_down),
        cmocka_unit_test_setup_teardown(processes_and_interrupts_when_switched_on, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
