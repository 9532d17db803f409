/* Tables of all discovery mechanisms (spec discovery.md). What this build can run is decided by the
 * scraper; the others are read and checked all the same, so that a configuration is judged whole.
 */
#include "schema_discovery.h"
#include "schema_tables.h"

static const struct field discovery_filter_fields[] = {
    {"name", FIELD_STRING, NULL, NULL, NULL, 0},
    {"values", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
static const struct schema schema_discovery_filter = {"discovery.plain", discovery_filter_fields,
                                                      check_discovery_filter};

static const struct field kubernetes_namespaces_fields[] = {
    {"own_namespace", FIELD_BOOL, NULL, NULL, NULL, FIELD_ALWAYS},
    {"names", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
static const struct schema schema_kubernetes_namespaces = {"kubernetes.plain",
                                                           kubernetes_namespaces_fields, NULL};

static const struct field kubernetes_selector_fields[] = {
    {"role", FIELD_STRING, NULL, NULL, NULL, 0},
    {"label", FIELD_STRING, NULL, NULL, NULL, 0},
    {"field", FIELD_STRING, NULL, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
static const struct schema schema_kubernetes_selector = {
    "kubernetes.plain", kubernetes_selector_fields, check_kubernetes_selector};

static const struct field kubernetes_attach_fields[] = {
    {"node", FIELD_BOOL, NULL, NULL, NULL, 0},       {"namespace", FIELD_BOOL, NULL, NULL, NULL, 0},
    {"deployment", FIELD_BOOL, NULL, NULL, NULL, 0}, {"job", FIELD_BOOL, NULL, NULL, NULL, 0},
    {"cronjob", FIELD_BOOL, NULL, NULL, NULL, 0},    {NULL, 0, NULL, NULL, NULL, 0},
};
static const struct schema schema_kubernetes_attach = {"kubernetes.plain", kubernetes_attach_fields,
                                                       NULL};

static const struct field aws_fields[] = {
    {"role", FIELD_STRING, NULL, NULL, NULL, 0},
    {"region", FIELD_STRING, NULL, NULL, NULL, 0},
    {"endpoint", FIELD_STRING, NULL, NULL, NULL, 0},
    {"access_key", FIELD_STRING, NULL, NULL, NULL, 0},
    {"secret_key", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"profile", FIELD_STRING, NULL, NULL, NULL, 0},
    {"role_arn", FIELD_STRING, NULL, NULL, NULL, 0},
    {"external_id", FIELD_STRING, NULL, NULL, NULL, 0},
    {"filters", FIELD_OBJECTS, &schema_discovery_filter, NULL, NULL, 0},
    {"clusters", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {"request_concurrency", FIELD_INT, NULL, NULL, NULL, 0},
    {"port", FIELD_INT, NULL, "80", NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    HTTP_CLIENT_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_aws_sd = {"aws.plain", aws_fields, check_aws};

static const struct field azure_fields[] = {
    {"environment", FIELD_STRING, NULL, "AzurePublicCloud", NULL, 0},
    {"port", FIELD_INT, NULL, "80", NULL, 0},
    {"subscription_id", FIELD_STRING, NULL, NULL, NULL, 0},
    {"tenant_id", FIELD_STRING, NULL, NULL, NULL, 0},
    {"client_id", FIELD_STRING, NULL, NULL, NULL, 0},
    {"client_secret", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "5m", NULL, 0},
    {"authentication_method", FIELD_STRING, NULL, "OAuth", NULL, 0},
    {"resource_group", FIELD_STRING, NULL, NULL, NULL, 0},
    HTTP_CLIENT_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_azure_sd = {"azure.plain", azure_fields, check_azure};

static const struct field consul_fields[] = {
    {"server", FIELD_STRING, NULL, "localhost:8500", NULL, 0},
    {"path_prefix", FIELD_STRING, NULL, NULL, NULL, 0},
    {"token", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"datacenter", FIELD_STRING, NULL, NULL, NULL, 0},
    {"namespace", FIELD_STRING, NULL, NULL, NULL, 0},
    {"partition", FIELD_STRING, NULL, NULL, NULL, 0},
    {"tag_separator", FIELD_STRING, NULL, ",", NULL, 0},
    {"scheme", FIELD_STRING, NULL, "http", NULL, 0},
    {"username", FIELD_STRING, NULL, NULL, NULL, 0},
    {"password", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"health_filter", FIELD_STRING, NULL, NULL, NULL, 0},
    {"allow_stale", FIELD_BOOL, NULL, "true", NULL, FIELD_ALWAYS},
    {"refresh_interval", FIELD_DURATION, NULL, "30s", NULL, 0},
    {"services", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {"tags", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {"node_meta", FIELD_MAP, NULL, NULL, NULL, 0},
    {"filter", FIELD_STRING, NULL, NULL, NULL, 0},
    HTTP_CLIENT_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_consul_sd = {"consul.plain", consul_fields, check_consul};

static const struct field digitalocean_fields[] = {
    {"port", FIELD_INT, NULL, "80", NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    HTTP_CLIENT_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_digitalocean_sd = {"digitalocean.plain", digitalocean_fields,
                                              check_http_client};

static const struct field dns_fields[] = {
    {"names", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {"type", FIELD_STRING, NULL, "SRV", NULL, 0},
    {"port", FIELD_INT, NULL, NULL, NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "30s", NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_dns_sd = {"dns.plain", dns_fields, check_dns};

static const struct field docker_fields[] = {
    {"host", FIELD_URL, NULL, NULL, NULL, 0},
    {"port", FIELD_INT, NULL, "80", NULL, 0},
    {"filters", FIELD_OBJECTS, &schema_discovery_filter, NULL, NULL, 0},
    {"host_networking_host", FIELD_STRING, NULL, "localhost", NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    {"match_first_network", FIELD_BOOL, NULL, "true", NULL, FIELD_ALWAYS},
    HTTP_CLIENT_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_docker_sd = {"docker.plain", docker_fields, check_docker};

static const struct field dockerswarm_fields[] = {
    {"host", FIELD_URL, NULL, NULL, NULL, 0},
    {"role", FIELD_STRING, NULL, NULL, NULL, 0},
    {"port", FIELD_INT, NULL, "80", NULL, 0},
    {"filters", FIELD_OBJECTS, &schema_discovery_filter, NULL, NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    HTTP_CLIENT_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_dockerswarm_sd = {"dockerswarm.plain", dockerswarm_fields,
                                             check_dockerswarm};

static const struct field ec2_fields[] = {
    {"region", FIELD_STRING, NULL, NULL, NULL, 0},
    {"endpoint", FIELD_STRING, NULL, NULL, NULL, 0},
    {"access_key", FIELD_STRING, NULL, NULL, NULL, 0},
    {"secret_key", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"profile", FIELD_STRING, NULL, NULL, NULL, 0},
    {"role_arn", FIELD_STRING, NULL, NULL, NULL, 0},
    {"external_id", FIELD_STRING, NULL, NULL, NULL, 0},
    {"filters", FIELD_OBJECTS, &schema_discovery_filter, NULL, NULL, 0},
    {"port", FIELD_INT, NULL, "80", NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    HTTP_CLIENT_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_ec2_sd = {"ec2.plain", ec2_fields, check_ec2};

static const struct field ecs_fields[] = {
    {"region", FIELD_STRING, NULL, NULL, NULL, 0},
    {"endpoint", FIELD_STRING, NULL, NULL, NULL, 0},
    {"access_key", FIELD_STRING, NULL, NULL, NULL, 0},
    {"secret_key", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"profile", FIELD_STRING, NULL, NULL, NULL, 0},
    {"role_arn", FIELD_STRING, NULL, NULL, NULL, 0},
    {"external_id", FIELD_STRING, NULL, NULL, NULL, 0},
    {"clusters", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {"request_concurrency", FIELD_INT, NULL, "20", NULL, 0},
    {"port", FIELD_INT, NULL, "80", NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    HTTP_CLIENT_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_ecs_sd = {"ecs.plain", ecs_fields, check_http_client};

static const struct field elasticache_fields[] = {
    {"region", FIELD_STRING, NULL, NULL, NULL, 0},
    {"endpoint", FIELD_STRING, NULL, NULL, NULL, 0},
    {"access_key", FIELD_STRING, NULL, NULL, NULL, 0},
    {"secret_key", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"profile", FIELD_STRING, NULL, NULL, NULL, 0},
    {"role_arn", FIELD_STRING, NULL, NULL, NULL, 0},
    {"external_id", FIELD_STRING, NULL, NULL, NULL, 0},
    {"clusters", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {"request_concurrency", FIELD_INT, NULL, "10", NULL, 0},
    {"port", FIELD_INT, NULL, "80", NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    HTTP_CLIENT_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_elasticache_sd = {"elasticache.plain", elasticache_fields,
                                             check_http_client};

static const struct field eureka_fields[] = {
    {"server", FIELD_STRING, NULL, NULL, NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "30s", NULL, 0},
    HTTP_CLIENT_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_eureka_sd = {"eureka.plain", eureka_fields, check_eureka};

static const struct field file_fields[] = {
    {"files", FIELD_STRINGS, NULL, NULL, NULL, FIELD_PATH},
    {"refresh_interval", FIELD_DURATION, NULL, "5m", NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_file_sd = {"file.plain", file_fields, check_file};

static const struct field gce_fields[] = {
    {"project", FIELD_STRING, NULL, NULL, NULL, 0},
    {"zone", FIELD_STRING, NULL, NULL, NULL, 0},
    {"filter", FIELD_STRING, NULL, NULL, NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    {"port", FIELD_INT, NULL, "80", NULL, 0},
    {"tag_separator", FIELD_STRING, NULL, ",", NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_gce_sd = {"gce.plain", gce_fields, check_gce};

static const struct field hetzner_fields[] = {
    {"role", FIELD_STRING, NULL, NULL, NULL, 0},
    {"label_selector", FIELD_STRING, NULL, NULL, NULL, 0},
    {"port", FIELD_INT, NULL, "80", NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    HTTP_CLIENT_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_hetzner_sd = {"hetzner.plain", hetzner_fields, check_hetzner};

static const struct field http_fields[] = {
    HTTP_CLIENT_FIELDS,
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    {"url", FIELD_URL, NULL, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_http_sd = {"http.plain", http_fields, check_http};

static const struct field ionos_fields[] = {
    {"datacenter_id", FIELD_STRING, NULL, NULL, NULL, 0},
    {"port", FIELD_INT, NULL, "80", NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    HTTP_CLIENT_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_ionos_sd = {"ionos.plain", ionos_fields, check_ionos};

static const struct field kubernetes_fields[] = {
    {"api_server", FIELD_URL, NULL, NULL, NULL, 0},
    {"role", FIELD_STRING, NULL, NULL, NULL, 0},
    {"kubeconfig_file", FIELD_STRING, NULL, NULL, NULL, FIELD_PATH},
    HTTP_CLIENT_FIELDS,
    {"namespaces", FIELD_OBJECT, &schema_kubernetes_namespaces, NULL, NULL, 0},
    {"selectors", FIELD_OBJECTS, &schema_kubernetes_selector, NULL, NULL, 0},
    {"attach_metadata", FIELD_OBJECT, &schema_kubernetes_attach, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_kubernetes_sd = {"kubernetes.plain", kubernetes_fields,
                                            check_kubernetes};

static const struct field kuma_fields[] = {
    {"server", FIELD_STRING, NULL, NULL, NULL, 0},
    {"client_id", FIELD_STRING, NULL, NULL, NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "15s", NULL, 0},
    {"fetch_timeout", FIELD_DURATION, NULL, "2m", NULL, 0},
    HTTP_CLIENT_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_kuma_sd = {"kuma.plain", kuma_fields, check_kuma};

static const struct field lightsail_fields[] = {
    {"region", FIELD_STRING, NULL, NULL, NULL, 0},
    {"endpoint", FIELD_STRING, NULL, NULL, NULL, 0},
    {"access_key", FIELD_STRING, NULL, NULL, NULL, 0},
    {"secret_key", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"profile", FIELD_STRING, NULL, NULL, NULL, 0},
    {"role_arn", FIELD_STRING, NULL, NULL, NULL, 0},
    {"external_id", FIELD_STRING, NULL, NULL, NULL, 0},
    {"port", FIELD_INT, NULL, "80", NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    HTTP_CLIENT_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_lightsail_sd = {"lightsail.plain", lightsail_fields, check_lightsail};

static const struct field linode_fields[] = {
    {"port", FIELD_INT, NULL, "80", NULL, 0},
    {"tag_separator", FIELD_STRING, NULL, ",", NULL, 0},
    {"region", FIELD_STRING, NULL, NULL, NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    HTTP_CLIENT_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_linode_sd = {"linode.plain", linode_fields, check_http_client};

static const struct field marathon_fields[] = {
    {"servers", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "30s", NULL, 0},
    {"auth_token", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"auth_token_file", FIELD_STRING, NULL, NULL, NULL, FIELD_PATH},
    HTTP_CLIENT_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_marathon_sd = {"marathon.plain", marathon_fields, check_marathon};

static const struct field msk_fields[] = {
    {"region", FIELD_STRING, NULL, NULL, NULL, 0},
    {"endpoint", FIELD_STRING, NULL, NULL, NULL, 0},
    {"access_key", FIELD_STRING, NULL, NULL, NULL, 0},
    {"secret_key", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"profile", FIELD_STRING, NULL, NULL, NULL, 0},
    {"role_arn", FIELD_STRING, NULL, NULL, NULL, 0},
    {"external_id", FIELD_STRING, NULL, NULL, NULL, 0},
    {"clusters", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {"request_concurrency", FIELD_INT, NULL, "10", NULL, 0},
    {"port", FIELD_INT, NULL, "80", NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    HTTP_CLIENT_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_msk_sd = {"msk.plain", msk_fields, check_http_client};

static const struct field nerve_fields[] = {
    {"servers", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {"paths", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {"timeout", FIELD_DURATION, NULL, "10s", NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_nerve_sd = {"nerve.plain", nerve_fields, check_nerve};

static const struct field nomad_fields[] = {
    {"allow_stale", FIELD_BOOL, NULL, "true", NULL, FIELD_ALWAYS},
    {"namespace", FIELD_STRING, NULL, "default", NULL, 0},
    {"region", FIELD_STRING, NULL, "global", NULL, 0},
    {"server", FIELD_STRING, NULL, "http://localhost:4646", NULL, 0},
    {"tag_separator", FIELD_STRING, NULL, ",", NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    HTTP_CLIENT_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_nomad_sd = {"nomad.plain", nomad_fields, check_nomad};

static const struct field oci_fields[] = {
    {"region", FIELD_STRING, NULL, NULL, NULL, 0},
    {"tenancy", FIELD_STRING, NULL, NULL, NULL, 0},
    {"user", FIELD_STRING, NULL, NULL, NULL, 0},
    {"fingerprint", FIELD_STRING, NULL, NULL, NULL, 0},
    {"key", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"key_file", FIELD_STRING, NULL, NULL, NULL, FIELD_PATH},
    {"key_passphrase", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"authentication_method", FIELD_STRING, NULL, NULL, NULL, 0},
    {"compartments", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {"tag_separator", FIELD_STRING, NULL, ",", NULL, 0},
    {"port", FIELD_INT, NULL, "80", NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    HTTP_CLIENT_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_oci_sd = {"oci.plain", oci_fields, check_oci};

static const struct field openstack_fields[] = {
    {"identity_endpoint", FIELD_STRING, NULL, NULL, NULL, 0},
    {"username", FIELD_STRING, NULL, NULL, NULL, 0},
    {"userid", FIELD_STRING, NULL, NULL, NULL, 0},
    {"password", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"project_name", FIELD_STRING, NULL, NULL, NULL, 0},
    {"project_id", FIELD_STRING, NULL, NULL, NULL, 0},
    {"domain_name", FIELD_STRING, NULL, NULL, NULL, 0},
    {"domain_id", FIELD_STRING, NULL, NULL, NULL, 0},
    {"application_credential_name", FIELD_STRING, NULL, NULL, NULL, 0},
    {"application_credential_id", FIELD_STRING, NULL, NULL, NULL, 0},
    {"application_credential_secret", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"role", FIELD_STRING, NULL, NULL, NULL, 0},
    {"region", FIELD_STRING, NULL, NULL, NULL, 0},
    {"port", FIELD_INT, NULL, "80", NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    {"all_tenants", FIELD_BOOL, NULL, NULL, NULL, 0},
    {"tls_config", FIELD_OBJECT, &schema_tls, NULL, NULL, 0},
    {"availability", FIELD_STRING, NULL, "public", NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_openstack_sd = {"openstack.plain", openstack_fields, check_openstack};

static const struct field outscale_fields[] = {
    {"region", FIELD_STRING, NULL, NULL, NULL, 0},
    {"access_key", FIELD_STRING, NULL, NULL, NULL, 0},
    {"secret_key", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"secret_key_file", FIELD_STRING, NULL, NULL, NULL, FIELD_PATH},
    {"endpoint", FIELD_STRING, NULL, NULL, NULL, 0},
    {"port", FIELD_INT, NULL, "80", NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    HTTP_CLIENT_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_outscale_sd = {"outscale.plain", outscale_fields, check_outscale};

static const struct field ovhcloud_fields[] = {
    {"endpoint", FIELD_STRING, NULL, "ovh-eu", NULL, 0},
    {"application_key", FIELD_STRING, NULL, NULL, NULL, 0},
    {"application_secret", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"consumer_key", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    {"service", FIELD_STRING, NULL, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_ovhcloud_sd = {"ovhcloud.plain", ovhcloud_fields, check_ovhcloud};

static const struct field puppetdb_fields[] = {
    HTTP_CLIENT_FIELDS,
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    {"url", FIELD_URL, NULL, NULL, NULL, 0},
    {"query", FIELD_STRING, NULL, NULL, NULL, 0},
    {"include_parameters", FIELD_BOOL, NULL, NULL, NULL, 0},
    {"port", FIELD_INT, NULL, "80", NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_puppetdb_sd = {"puppetdb.plain", puppetdb_fields, check_puppetdb};

static const struct field rds_fields[] = {
    {"region", FIELD_STRING, NULL, NULL, NULL, 0},
    {"endpoint", FIELD_STRING, NULL, NULL, NULL, 0},
    {"access_key", FIELD_STRING, NULL, NULL, NULL, 0},
    {"secret_key", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"profile", FIELD_STRING, NULL, NULL, NULL, 0},
    {"role_arn", FIELD_STRING, NULL, NULL, NULL, 0},
    {"external_id", FIELD_STRING, NULL, NULL, NULL, 0},
    {"clusters", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {"request_concurrency", FIELD_INT, NULL, "10", NULL, 0},
    {"port", FIELD_INT, NULL, "80", NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    HTTP_CLIENT_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_rds_sd = {"rds.plain", rds_fields, check_http_client};

static const struct field scaleway_fields[] = {
    {"project_id", FIELD_STRING, NULL, NULL, NULL, 0},
    {"api_url", FIELD_STRING, NULL, "https://api.scaleway.com", NULL, 0},
    {"zone", FIELD_STRING, NULL, "fr-par-1", NULL, 0},
    {"access_key", FIELD_STRING, NULL, NULL, NULL, 0},
    {"secret_key", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"secret_key_file", FIELD_STRING, NULL, NULL, NULL, FIELD_PATH},
    {"name_filter", FIELD_STRING, NULL, NULL, NULL, 0},
    {"tags_filter", FIELD_STRINGS, NULL, NULL, NULL, 0},
    HTTP_CLIENT_FIELDS,
    {"port", FIELD_INT, NULL, "80", NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    {"role", FIELD_STRING, NULL, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_scaleway_sd = {"scaleway.plain", scaleway_fields, check_scaleway};

static const struct field serverset_fields[] = {
    {"servers", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {"paths", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {"timeout", FIELD_DURATION, NULL, "10s", NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_serverset_sd = {"serverset.plain", serverset_fields, check_serverset};

static const struct field stackit_fields[] = {
    HTTP_CLIENT_FIELDS,
    {"port", FIELD_INT, NULL, "80", NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    {"project", FIELD_STRING, NULL, NULL, NULL, 0},
    {"region", FIELD_STRING, NULL, "eu01", NULL, 0},
    {"endpoint", FIELD_STRING, NULL, NULL, NULL, 0},
    {"service_account_key", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"private_key", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"service_account_key_path", FIELD_STRING, NULL, NULL, NULL, FIELD_PATH},
    {"private_key_path", FIELD_STRING, NULL, NULL, NULL, FIELD_PATH},
    {"credentials_file_path", FIELD_STRING, NULL, NULL, NULL, FIELD_PATH},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_stackit_sd = {"stackit.plain", stackit_fields, check_stackit};

static const struct field triton_fields[] = {
    {"account", FIELD_STRING, NULL, NULL, NULL, 0},
    {"role", FIELD_STRING, NULL, "container", NULL, 0},
    {"dns_suffix", FIELD_STRING, NULL, NULL, NULL, 0},
    {"endpoint", FIELD_STRING, NULL, NULL, NULL, 0},
    {"groups", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {"port", FIELD_INT, NULL, "9163", NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    {"tls_config", FIELD_OBJECT, &schema_tls, NULL, NULL, 0},
    {"version", FIELD_INT, NULL, "1", NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_triton_sd = {"triton.plain", triton_fields, check_triton};

static const struct field uyuni_fields[] = {
    {"server", FIELD_STRING, NULL, NULL, NULL, 0},
    {"username", FIELD_STRING, NULL, NULL, NULL, 0},
    {"password", FIELD_SECRET, NULL, NULL, NULL, 0},
    HTTP_CLIENT_FIELDS,
    {"entitlement", FIELD_STRING, NULL, "monitoring_entitled", NULL, 0},
    {"separator", FIELD_STRING, NULL, ",", NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_uyuni_sd = {"uyuni.plain", uyuni_fields, check_uyuni};

static const struct field vultr_fields[] = {
    {"port", FIELD_INT, NULL, "80", NULL, 0},
    {"refresh_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    HTTP_CLIENT_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_vultr_sd = {"vultr.plain", vultr_fields, check_http_client};
