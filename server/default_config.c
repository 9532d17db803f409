/* What is scraped when nobody said what to scrape: this server and this host. */
#include "default_config.h"

void default_config_print(const char *listen_address, bool host_metrics, struct strbuf *out)
{
    const char *colon = strrchr(listen_address, ':');
    const char *port = colon == NULL ? ":9090" : colon;
    strbuf_printf(out,
                  "global:\n"
                  "  scrape_interval: 15s\n"
                  "scrape_configs:\n"
                  "- job_name: narthex\n"
                  "  static_configs:\n"
                  "  - targets: ['localhost%s']\n",
                  port);
    if (host_metrics)
        strbuf_printf(out,
                      "- job_name: node\n"
                      "  metrics_path: /metrics/host\n"
                      "  static_configs:\n"
                      "  - targets: ['localhost%s']\n",
                      port);
}
