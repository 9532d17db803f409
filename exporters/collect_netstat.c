/* netstat and sockstat: protocol counters and sockets in use. */
#include <unistd.h>

#include "collection.h"

static bool is_one_of(struct str name, const char *const *list)
{
    for (; *list != NULL; list++) {
        if (str_equal_cstr(name, *list))
            return true;
    }
    return false;
}

/* The fields that dashboards use, out of several hundred. */
static bool netstat_is_wanted(struct str protocol, struct str field)
{
    static const char *const tcp[] = {"ActiveOpens", "CurrEstab",    "InSegs",      "OutRsts",
                                      "OutSegs",     "PassiveOpens", "RetransSegs", NULL};
    static const char *const udp[] = {"InDatagrams",  "NoPorts",      "OutDatagrams",
                                      "RcvbufErrors", "SndbufErrors", NULL};
    static const char *const extended_tcp[] = {"TCPOFOQueue", "TCPRcvQDrop", "TCPSynRetrans",
                                               "TCPTimeouts", NULL};
    static const char *const octets[] = {"InOctets", "OutOctets", NULL};
    static const char *const messages[] = {"InMsgs", "OutMsgs", NULL};

    if (str_equal(field, STR("InErrors")) || str_equal(field, STR("InErrs")))
        return true;
    if (str_equal(protocol, STR("Tcp")))
        return is_one_of(field, tcp);
    if (str_equal(protocol, STR("Udp")) || str_equal(protocol, STR("Udp6")))
        return is_one_of(field, udp);
    if (str_equal(protocol, STR("TcpExt")))
        return is_one_of(field, extended_tcp) || str_starts_with(field, STR("Listen")) ||
               str_starts_with(field, STR("Syncookies"));
    if (str_equal(protocol, STR("Ip6")) || str_equal(protocol, STR("IpExt")))
        return is_one_of(field, octets);
    if (str_equal(protocol, STR("Icmp")) || str_equal(protocol, STR("Icmp6")))
        return is_one_of(field, messages);
    return str_equal(protocol, STR("Ip")) && str_equal(field, STR("Forwarding"));
}

static void write_netstat(struct collection *collection, struct str protocol, struct str field,
                          struct str text)
{
    double value;
    if (!netstat_is_wanted(protocol, field) || !text_to_double(text, &value))
        return;
    strbuf_clear(&collection->name);
    strbuf_printf(&collection->name, "node_netstat_%.*s_%.*s", STR_ARG(protocol), STR_ARG(field));
    collection__make_legal(&collection->name);
    collection__single(collection, strbuf_cstr(&collection->name), METRIC_UNTYPED,
                       "A protocol counter of the kernel.", value);
}

/* Pairs of lines "Proto: name name…" and "Proto: value value…". */
static void write_pairs(struct collection *collection, struct str text)
{
    struct str names;
    struct str values;
    while (text_next_line(&text, &names) && text_next_line(&text, &values)) {
        struct str protocol;
        struct str again;
        if (!text_cut(&names, ':', &protocol) || !text_cut(&values, ':', &again) ||
            !str_equal(protocol, again))
            return;
        struct str name;
        struct str value;
        while (text_next_field(&names, &name) && text_next_field(&values, &value))
            write_netstat(collection, protocol, name, value);
    }
}

/* Lines "Udp6InErrors 0": the protocol ends with the 6. */
static void write_snmp6(struct collection *collection, struct str text)
{
    for (struct str line; text_next_line(&text, &line);) {
        struct str name;
        struct str value;
        if (!text_next_field(&line, &name) || !text_next_field(&line, &value))
            continue;
        size_t six = str_find(name, '6', 0);
        if (six != SIZE_MAX)
            write_netstat(collection, str_from(name.data, six + 1),
                          str_from(name.data + six + 1, name.size - six - 1), value);
    }
}

err_t collect__netstat(struct collection *collection)
{
    struct str text;
    TRY(collection__read_proc(collection, "net/netstat", &text));
    write_pairs(collection, text);
    TRY(collection__read_proc(collection, "net/snmp", &text));
    write_pairs(collection, text);
    /* Absent where IPv6 is switched off. */
    err_t err = collection__read_proc(collection, "net/snmp6", &text);
    if (err == OK)
        write_snmp6(collection, text);
    return err == ERR_NOT_FOUND ? OK : err;
}

static void write_sockstat(struct collection *collection, struct str protocol, struct str key,
                           const char *suffix, double value)
{
    strbuf_clear(&collection->name);
    strbuf_printf(&collection->name, "node_sockstat_%.*s_%.*s%s", STR_ARG(protocol), STR_ARG(key),
                  suffix);
    collection__make_legal(&collection->name);
    collection__single(collection, strbuf_cstr(&collection->name), METRIC_GAUGE,
                       "Sockets of a protocol and the memory they take.", value);
}

/* Lines "TCP: inuse 4 orphan 0": pairs of a key and a number. */
static void write_socket_lines(struct collection *collection, struct str text)
{
    for (struct str line; text_next_line(&text, &line);) {
        struct str protocol;
        if (!text_cut(&line, ':', &protocol))
            continue;
        struct str key;
        struct str field;
        while (text_next_field(&line, &key) && text_next_field(&line, &field)) {
            double value;
            if (!text_to_double(field, &value))
                break;
            write_sockstat(collection, protocol, key, "", value);
            if (str_equal(key, STR("mem")))
                write_sockstat(collection, protocol, key, "_bytes",
                               value * (double)sysconf(_SC_PAGESIZE));
        }
    }
}

err_t collect__sockstat(struct collection *collection)
{
    struct str text;
    TRY(collection__read_proc(collection, "net/sockstat", &text));
    write_socket_lines(collection, text);
    err_t err = collection__read_proc(collection, "net/sockstat6", &text);
    if (err == OK)
        write_socket_lines(collection, text);
    return err == ERR_NOT_FOUND ? OK : err;
}
