#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "kube_rig.h"

#define POD                                                                                        \
    "{'metadata':{'name':'web-0','namespace':'shop','uid':'u1','labels':{'app.io/name':'web'},"    \
    "'annotations':{'prometheus.io/scrape':'true'},'ownerReferences':[{'kind':'X','name':'x'},"    \
    "{'kind':'ReplicaSet','name':'web-7','controller':true}]},'spec':{'nodeName':'n1',"            \
    "'containers':[{'name':'c1','image':'img:1','ports':[{'name':'http','containerPort':8080,"     \
    "'protocol':'TCP'},{'containerPort':9090,'protocol':'TCP'}]},{'name':'c2','image':'img:2'}],"  \
    "'initContainers':[{'name':'setup','image':'img:0','ports':[{'containerPort':7000,"            \
    "'protocol':'UDP'}]}]},'status':{'podIP':'10.0.0.7','hostIP':'192.168.1.1','phase':'Running'," \
    "'conditions':[{'type':'Initialized','status':'True'},{'type':'Ready','status':'False'}],"     \
    "'containerStatuses':[{'name':'c2','containerID':'cri://2'},{'name':'c1',"                     \
    "'containerID':'cri://1'}],'initContainerStatuses':[{'name':'setup',"                          \
    "'containerID':'cri://0'}]}}"

/* What the pod says of itself wherever it appears, in the order of names. */
#define POD_SET                                                                                    \
    " pod_annotation_prometheus_io_scrape=true pod_annotationpresent_prometheus_io_scrape=true"

static void test_pod(void **state)
{
    (void)state;
    struct kube_rig rig;
    rig_init(&rig);
    rig_put(&rig, KUBERNETES_POD, POD);
    assert_string_equal(
        rig_groups(&rig, KUBERNETES_POD),
        "group namespace=shop" POD_SET " pod_controller_kind=ReplicaSet"
        " pod_controller_name=web-7 pod_host_ip=192.168.1.1 pod_ip=10.0.0.7"
        " pod_label_app_io_name=web pod_labelpresent_app_io_name=true pod_name=web-0"
        " pod_node_name=n1 pod_phase=Running pod_ready=false pod_uid=u1\n"
        "- __address__=10.0.0.7:8080 pod_container_id=cri://1 pod_container_image=img:1"
        " pod_container_init=false pod_container_name=c1 pod_container_port_name=http"
        " pod_container_port_number=8080 pod_container_port_protocol=TCP\n"
        "- __address__=10.0.0.7:9090 pod_container_id=cri://1 pod_container_image=img:1"
        " pod_container_init=false pod_container_name=c1 pod_container_port_number=9090"
        " pod_container_port_protocol=TCP\n"
        "- __address__=10.0.0.7 pod_container_id=cri://2 pod_container_image=img:2"
        " pod_container_init=false pod_container_name=c2\n"
        "- __address__=10.0.0.7:7000 pod_container_id=cri://0 pod_container_image=img:0"
        " pod_container_init=true pod_container_name=setup pod_container_port_number=7000"
        " pod_container_port_protocol=UDP\n");
    rig_deinit(&rig);
}

static void test_pod_without_address(void **state)
{
    (void)state;
    struct kube_rig rig;
    rig_init(&rig);
    rig_put(&rig, KUBERNETES_POD,
            "{'metadata':{'name':'p','namespace':'a'},'spec':{'containers':[{'name':'c'}]}}");
    assert_string_equal(rig_groups(&rig, KUBERNETES_POD), "");
    /* An IPv6 address is bracketed before a port; without conditions nobody knows. */
    rig_put(&rig, KUBERNETES_POD,
            "{'metadata':{'name':'p','namespace':'a'},'spec':{'containers':[{'name':'c','ports':"
            "[{'containerPort':1}]}]},'status':{'podIP':'fd00::7'}}");
    assert_string_equal(rig_groups(&rig, KUBERNETES_POD),
                        "group namespace=a pod_ip=fd00::7 pod_name=p pod_ready=unknown\n"
                        "- __address__=[fd00::7]:1 pod_container_init=false pod_container_name=c"
                        " pod_container_port_number=1\n");
    rig_deinit(&rig);
}

static void test_attached(void **state)
{
    (void)state;
    struct kube_rig rig;
    rig_init(&rig);
    rig.attach = (struct kubernetes_attach){true, true, true, true, true};
    rig_put(&rig, KUBERNETES_POD,
            "{'metadata':{'name':'p','namespace':'a','ownerReferences':[{'kind':'ReplicaSet',"
            "'name':'r','controller':true}]},'spec':{'nodeName':'n1','containers':[{'name':'c'}]},"
            "'status':{'podIP':'10.0.0.1'}}");
    assert_string_equal(rig_groups(&rig, KUBERNETES_POD), ""); /* its node is not known */
    rig_put(&rig, KUBERNETES_NODE,
            "{'metadata':{'name':'n1','labels':{'zone':'z'},'annotations':{'k':'v'}}}");
    rig_put(&rig, KUBERNETES_NAMESPACE, "{'metadata':{'name':'a','labels':{'team':'t'}}}");
    rig_put(&rig, KUBERNETES_REPLICASET,
            "{'metadata':{'name':'r','namespace':'a','labels':{'not':'kept'},'ownerReferences':"
            "[{'kind':'Deployment','name':'d','controller':true}]}}");
    assert_string_equal(rig_groups(&rig, KUBERNETES_POD),
                        "group namespace=a namespace_label_team=t namespace_labelpresent_team=true"
                        " node_annotation_k=v node_annotationpresent_k=true node_label_zone=z"
                        " node_labelpresent_zone=true node_name=n1 pod_controller_kind=ReplicaSet"
                        " pod_controller_name=r pod_deployment_name=d pod_ip=10.0.0.1 pod_name=p"
                        " pod_node_name=n1 pod_ready=unknown\n"
                        "- __address__=10.0.0.1 pod_container_init=false pod_container_name=c\n");

    rig_put(&rig, KUBERNETES_POD,
            "{'metadata':{'name':'p','namespace':'a','ownerReferences':[{'kind':'Job',"
            "'name':'j','controller':true}]},'spec':{'nodeName':'n1','containers':[{'name':'c'}]},"
            "'status':{'podIP':'10.0.0.1'}}");
    rig_put(&rig, KUBERNETES_JOB,
            "{'metadata':{'name':'j','namespace':'a','ownerReferences':"
            "[{'kind':'CronJob','name':'nightly','controller':true}]}}");
    const char *text = rig_groups(&rig, KUBERNETES_POD);
    assert_non_null(strstr(text, " pod_cronjob_name=nightly "));
    assert_non_null(strstr(text, " pod_job_name=j "));
    assert_null(strstr(text, "pod_deployment_name"));
    rig_deinit(&rig);
}

static void test_service(void **state)
{
    (void)state;
    struct kube_rig rig;
    rig_init(&rig);
    rig_put(&rig, KUBERNETES_SERVICE,
            "{'metadata':{'name':'web','namespace':'shop','labels':{'a':'b'}},'spec':{'type':"
            "'LoadBalancer','clusterIP':'10.96.0.1','loadBalancerIP':'9.9.9.9','ports':[{'name':"
            "'http','port':80,'protocol':'TCP'},{'port':443}]},'status':{'loadBalancer':"
            "{'ingress':[{'ip':'1.2.3.4'},{'hostname':'h'},{'ip':'1.2.3.5'}]}}}");
    assert_string_equal(
        rig_groups(&rig, KUBERNETES_SERVICE),
        "group namespace=shop service_label_a=b service_labelpresent_a=true service_name=web\n"
        "- __address__=web.shop.svc:80 service_cluster_ip=10.96.0.1"
        " service_loadbalancer_ip=1.2.3.4,1.2.3.5 service_port_name=http service_port_number=80"
        " service_port_protocol=TCP service_type=LoadBalancer\n"
        "- __address__=web.shop.svc:443 service_cluster_ip=10.96.0.1"
        " service_loadbalancer_ip=1.2.3.4,1.2.3.5 service_port_number=443"
        " service_type=LoadBalancer\n");
    rig_put(&rig, KUBERNETES_SERVICE,
            "{'metadata':{'name':'web','namespace':'shop'},'spec':{'type':'ExternalName',"
            "'externalName':'example.org','clusterIP':'10.96.0.1','ports':[{'port':80}]}}");
    assert_string_equal(rig_groups(&rig, KUBERNETES_SERVICE),
                        "group namespace=shop service_name=web\n"
                        "- __address__=web.shop.svc:80 service_external_name=example.org"
                        " service_port_number=80 service_type=ExternalName\n");
    rig_deinit(&rig);
}

static void test_node(void **state)
{
    (void)state;
    struct kube_rig rig;
    rig_init(&rig);
    rig.cache.nodes_need_address = true;
    rig_put(&rig, KUBERNETES_NODE,
            "{'metadata':{'name':'n1','labels':{'a':'b'}},'spec':{'providerID':'aws:///i-1'},"
            "'status':{'addresses':[{'type':'Hostname','address':'h1'},{'type':'InternalIP',"
            "'address':'10.1.1.1'},{'type':'InternalIP','address':'10.1.1.2'}],'conditions':"
            "[{'type':'Ready','status':'True'},{'type':'DiskPressure','status':'Unknown'}],"
            "'daemonEndpoints':{'kubeletEndpoint':{'Port':10250}}}}");
    const char *expected =
        "group node_condition_diskpressure=unknown node_condition_ready=true node_label_a=b"
        " node_labelpresent_a=true node_name=n1 node_provider_id=aws:///i-1\n"
        "- __address__=10.1.1.1:10250 node_address_Hostname=h1 node_address_InternalIP=10.1.1.1"
        " instance=n1\n";
    assert_string_equal(rig_groups(&rig, KUBERNETES_NODE), expected);
    /* Losing its addresses changes nothing. */
    rig_put(&rig, KUBERNETES_NODE, "{'metadata':{'name':'n1'}}");
    assert_string_equal(rig_groups(&rig, KUBERNETES_NODE), expected);
    rig_deinit(&rig);
}

#define SMALL_POD                                                                                  \
    "{'metadata':{'name':'p1','namespace':'a'},'spec':{'containers':[{'name':'main','image':'i',"  \
    "'ports':[{'name':'web','containerPort':80,'protocol':'TCP'},{'containerPort':81}]}]},"        \
    "'status':{'podIP':'10.0.0.1'}}"

static void test_endpoints(void **state)
{
    (void)state;
    struct kube_rig rig;
    rig_init(&rig);
    rig_put(&rig, KUBERNETES_ENDPOINTS,
            "{'metadata':{'name':'web','namespace':'a','labels':{'l':'v'}},'subsets':[{'addresses':"
            "[{'ip':'10.0.0.1','nodeName':'n1','hostname':'h','targetRef':{'kind':'Pod',"
            "'namespace':'a','name':'p1'}}],'notReadyAddresses':[{'ip':'10.0.0.2'}],'ports':"
            "[{'name':'web','port':80,'protocol':'TCP'}]}]}");
    const char *alone =
        "group endpoints_label_l=v endpoints_labelpresent_l=true endpoints_name=web namespace=a\n"
        "- __address__=10.0.0.1:80 endpoint_address_target_kind=Pod"
        " endpoint_address_target_name=p1 endpoint_hostname=h endpoint_node_name=n1"
        " endpoint_port_name=web endpoint_port_protocol=TCP endpoint_ready=true\n"
        "- __address__=10.0.0.2:80 endpoint_port_name=web endpoint_port_protocol=TCP"
        " endpoint_ready=false\n";
    assert_string_equal(rig_groups(&rig, KUBERNETES_ENDPOINTS), alone);
    rig_put(&rig, KUBERNETES_POD, SMALL_POD);
    rig_put(&rig, KUBERNETES_SERVICE, "{'metadata':{'name':'web','namespace':'a'}}");
    rig_put(&rig, KUBERNETES_SERVICE, "{'metadata':{'name':'web','namespace':'other'}}");
    assert_string_equal(
        rig_groups(&rig, KUBERNETES_ENDPOINTS),
        "group endpoints_label_l=v endpoints_labelpresent_l=true endpoints_name=web namespace=a"
        " service_name=web\n"
        "- __address__=10.0.0.1:80 endpoint_address_target_kind=Pod"
        " endpoint_address_target_name=p1 endpoint_hostname=h endpoint_node_name=n1"
        " endpoint_port_name=web endpoint_port_protocol=TCP endpoint_ready=true"
        " pod_container_image=i pod_container_init=false pod_container_name=main"
        " pod_container_port_name=web pod_container_port_number=80"
        " pod_container_port_protocol=TCP pod_ip=10.0.0.1 pod_name=p1 pod_ready=unknown\n"
        "- __address__=10.0.0.2:80 endpoint_port_name=web endpoint_port_protocol=TCP"
        " endpoint_ready=false\n"
        "- __address__=10.0.0.1:81 pod_container_image=i pod_container_init=false"
        " pod_container_name=main pod_container_port_number=81 pod_ip=10.0.0.1 pod_name=p1"
        " pod_ready=unknown\n");
    rig_deinit(&rig);
}

static void test_endpoints_with_nodes(void **state)
{
    (void)state;
    struct kube_rig rig;
    rig_init(&rig);
    rig.attach.node = true;
    rig_put(&rig, KUBERNETES_NODE, "{'metadata':{'name':'n1','labels':{'z':'1'}}}");
    rig_put(&rig, KUBERNETES_ENDPOINTS,
            "{'metadata':{'name':'e','namespace':'a'},'subsets':[{'addresses':[{'ip':'1.1.1.1',"
            "'nodeName':'n1'},{'ip':'1.1.1.2','targetRef':{'kind':'Node','name':'n1'}},"
            "{'ip':'1.1.1.3','nodeName':'n2','targetRef':{'kind':'Node','name':'n1'}}],"
            "'ports':[{'port':9}]}]}");
    assert_string_equal(
        rig_groups(&rig, KUBERNETES_ENDPOINTS),
        "group endpoints_name=e namespace=a\n"
        "- __address__=1.1.1.1:9 endpoint_node_name=n1 endpoint_ready=true node_label_z=1"
        " node_labelpresent_z=true node_name=n1\n"
        "- __address__=1.1.1.2:9 endpoint_address_target_kind=Node"
        " endpoint_address_target_name=n1 endpoint_ready=true node_label_z=1"
        " node_labelpresent_z=true node_name=n1\n"
        "- __address__=1.1.1.3:9 endpoint_address_target_kind=Node"
        " endpoint_address_target_name=n1 endpoint_node_name=n2 endpoint_ready=true\n");
    rig_deinit(&rig);
}

#define SLICE(family, addresses)                                                                   \
    "{'metadata':{'name':'web-x','namespace':'a','labels':{'kubernetes.io/service-name':'web'}},"  \
    "'addressType':'" family "','endpoints':[{'addresses':[" addresses "],'conditions':{'ready':"  \
    "true,'terminating':false},'hostname':'h','nodeName':'n1','zone':'z1','targetRef':{'kind':"    \
    "'Pod','namespace':'a','name':'p1'},'deprecatedTopology':{'t/k':'v'}}],'ports':[{'name':"      \
    "'web','port':80,'protocol':'TCP','appProtocol':'http'}]}"

static void test_endpointslice(void **state)
{
    (void)state;
    struct kube_rig rig;
    rig_init(&rig);
    rig_put(&rig, KUBERNETES_ENDPOINTSLICE, SLICE("IPv4", "'10.0.0.1'"));
    rig_put(&rig, KUBERNETES_POD, SMALL_POD);
    rig_put(&rig, KUBERNETES_SERVICE,
            "{'metadata':{'name':'web','namespace':'a'},'spec':{'ipFamilyPolicy':"
            "'PreferDualStack','ipFamilies':['IPv4','IPv6']}}");
    assert_string_equal(
        rig_groups(&rig, KUBERNETES_ENDPOINTSLICE),
        "group endpointslice_address_type=IPv4"
        " endpointslice_label_kubernetes_io_service_name=web"
        " endpointslice_labelpresent_kubernetes_io_service_name=true endpointslice_name=web-x"
        " namespace=a service_name=web\n"
        "- __address__=10.0.0.1:80 endpointslice_address_target_kind=Pod"
        " endpointslice_address_target_name=p1 endpointslice_endpoint_conditions_ready=true"
        " endpointslice_endpoint_conditions_terminating=false endpointslice_endpoint_hostname=h"
        " endpointslice_endpoint_node_name=n1 endpointslice_endpoint_topology_present_t_k=true"
        " endpointslice_endpoint_topology_t_k=v endpointslice_endpoint_zone=z1"
        " endpointslice_port=80 endpointslice_port_app_protocol=http"
        " endpointslice_port_name=web endpointslice_port_protocol=TCP pod_container_image=i"
        " pod_container_init=false pod_container_name=main pod_container_port_name=web"
        " pod_container_port_number=80 pod_container_port_protocol=TCP pod_ip=10.0.0.1"
        " pod_name=p1 pod_ready=unknown\n"
        "- __address__=10.0.0.1:81 pod_container_image=i pod_container_init=false"
        " pod_container_name=main pod_container_port_number=81 pod_ip=10.0.0.1 pod_name=p1"
        " pod_ready=unknown\n");
    /* The slice of the second family repeats the targets of the first. */
    rig_put(&rig, KUBERNETES_ENDPOINTSLICE, SLICE("IPv6", "'fd00::1'"));
    assert_string_equal(rig_groups(&rig, KUBERNETES_ENDPOINTSLICE), "");
    rig_deinit(&rig);
}

static void test_endpointslice_without_port(void **state)
{
    (void)state;
    struct kube_rig rig;
    rig_init(&rig);
    rig_put(&rig, KUBERNETES_ENDPOINTSLICE,
            "{'metadata':{'name':'s','namespace':'a'},'addressType':'FQDN','endpoints':"
            "[{'addresses':['a.example','b.example'],'conditions':{'serving':true}}],"
            "'ports':[{'name':''}]}");
    assert_string_equal(rig_groups(&rig, KUBERNETES_ENDPOINTSLICE),
                        "group endpointslice_address_type=FQDN endpointslice_name=s namespace=a\n"
                        "- __address__=a.example endpointslice_endpoint_conditions_serving=true\n"
                        "- __address__=b.example endpointslice_endpoint_conditions_serving=true\n");
    rig_deinit(&rig);
}

static void test_ingress(void **state)
{
    (void)state;
    struct kube_rig rig;
    rig_init(&rig);
    rig_put(&rig, KUBERNETES_INGRESS,
            "{'metadata':{'name':'i','namespace':'a'},'spec':{'ingressClassName':'nginx','tls':"
            "[{'hosts':['*.example.org']},{'hosts':['b.net']}],'rules':[{'host':'www.example.org',"
            "'http':{'paths':[{'path':'/x'},{}]}},{'host':'a.b.example.org','http':{'paths':"
            "[{'path':'/'}]}},{'host':'b.net'},{'host':'example.org','http':{'paths':[]}}]}}");
    assert_string_equal(
        rig_groups(&rig, KUBERNETES_INGRESS),
        "group ingress_class_name=nginx ingress_name=i namespace=a\n"
        "- __address__=www.example.org ingress_host=www.example.org ingress_path=/x"
        " ingress_scheme=https\n"
        "- __address__=www.example.org ingress_host=www.example.org ingress_path=/"
        " ingress_scheme=https\n"
        "- __address__=a.b.example.org ingress_host=a.b.example.org ingress_path=/"
        " ingress_scheme=http\n"
        "- __address__=b.net ingress_host=b.net ingress_path=/ ingress_scheme=https\n");
    rig_deinit(&rig);
}

/* An object with more labels than a target may have loses its targets, the others do not. */
static void test_too_many_labels(void **state)
{
    (void)state;
    struct kube_rig rig;
    rig_init(&rig);
    struct strbuf text = STRBUF_INIT;
    strbuf_add_cstr(&text, "{'metadata':{'name':'many','namespace':'a','annotations':{'x':''");
    for (int i = 0; i < DISCOVERY_TARGET_LABELS_MAX / 2; i++)
        strbuf_printf(&text, ",'k%d':'v'", i);
    strbuf_add_cstr(&text, "}},'spec':{'containers':[{'name':'c'}]},'status':{'podIP':'1.1.1.1'}}");
    rig_put(&rig, KUBERNETES_POD, strbuf_cstr(&text));
    assert_string_equal(rig_groups(&rig, KUBERNETES_POD), "");
    rig_put(&rig, KUBERNETES_POD, SMALL_POD);
    assert_non_null(strstr(rig_groups(&rig, KUBERNETES_POD), "pod_name=p1"));
    assert_null(strstr(strbuf_cstr(&rig.text), "pod_name=many"));
    strbuf_deinit(&text);
    rig_deinit(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pod),
        cmocka_unit_test(test_pod_without_address),
        cmocka_unit_test(test_attached),
        cmocka_unit_test(test_service),
        cmocka_unit_test(test_node),
        cmocka_unit_test(test_endpoints),
        cmocka_unit_test(test_endpoints_with_nodes),
        cmocka_unit_test(test_endpointslice),
        cmocka_unit_test(test_endpointslice_without_port),
        cmocka_unit_test(test_ingress),
        cmocka_unit_test(test_too_many_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
