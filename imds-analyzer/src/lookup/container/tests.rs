//! State directories made as each runtime makes them.

use std::fs;

use super::*;
use crate::{record, sink::fixture};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

struct Host(tempfile::TempDir);

impl Host {
    fn with(path: &str, text: &str) -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        let path = host
            .0
            .path()
            .join(path.replace("ID", ID).trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace("ID_OF_IT", ID)).unwrap();
        host
    }

    fn names(&self, runtime: Option<&str>) -> Option<ContainerNames> {
        names(&Root::open(self.0.path()).unwrap(), runtime, ID)
    }

    /// What a record says after them.
    fn words(&self, runtime: Option<&str>) -> String {
        let Some(names) = self.names(runtime) else {
            return "-".to_owned();
        };
        let mut process = fixture::bare_request().process.unwrap();
        process.container = Some(record::Container {
            id: ID.to_owned(),
            runtime: runtime.map(str::to_owned),
            ..Default::default()
        });
        process.kubernetes = Some(record::Kubernetes::default());
        names.describe(&mut process);
        let container = process.container.unwrap();
        let pod = process.kubernetes.unwrap();
        let task = process.ecs.unwrap_or_default();
        [
            ("", container.runtime),
            ("name=", container.name),
            ("image=", container.image),
            ("namespace=", pod.namespace),
            ("pod=", pod.pod_name),
            ("container=", pod.container_name),
            ("task=", Some(task.task_id).filter(|it| !it.is_empty())),
            ("cluster=", task.cluster),
            ("definition=", task.task_definition),
            ("in_task=", task.container_name),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some(format!("{key}{}", value?)))
        .collect::<Vec<_>>()
        .join(" ")
    }
}

const DOCKER: &str = "/var/lib/docker/containers/ID/config.v2.json";
const CONTAINERD: &str = "/run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json";

#[test]
fn docker_s_name_and_image_are_told_and_no_environment() {
    let host = Host::with(
        DOCKER,
        r#"{"StreamConfig":{},"State":{"Running":true},"ID":"ID_OF_IT","Name":"/web","Driver":"overlay2",
            "Config":{"Hostname":"x","Env":["PASSWORD=c4n4ry"],"Image":"nginx:1.25","Labels":{}}}"#,
    );
    assert_eq!(
        host.words(Some("docker")),
        "docker name=web image=nginx:1.25"
    );
    assert!(!format!("{:?}", host.names(None)).contains("c4n4ry"));
}

#[test]
fn ecs_task_is_told_by_the_agent_s_labels() {
    let host = Host::with(
        DOCKER,
        r#"{"ID":"ID_OF_IT","Name":"/ecs-web-7-nginx-c0ffee","Config":{"Image":"nginx","Labels":{
            "com.amazonaws.ecs.cluster":"arn:aws:ecs:eu-central-1:111122223333:cluster/prod",
            "com.amazonaws.ecs.container-name":"nginx",
            "com.amazonaws.ecs.task-arn":"arn:aws:ecs:eu-central-1:111122223333:task/prod/e95a40efbde84cbc8600660a109ec194",
            "com.amazonaws.ecs.task-definition-family":"web",
            "com.amazonaws.ecs.task-definition-version":"7"}}}"#,
    );
    assert_eq!(
        host.words(Some("docker")),
        "docker name=ecs-web-7-nginx-c0ffee image=nginx task=e95a40efbde84cbc8600660a109ec194 \
         cluster=prod definition=web:7 in_task=nginx"
    );
}

#[test]
fn kubelet_s_labels_name_the_pod() {
    let host = Host::with(
        DOCKER,
        r#"{"ID":"ID_OF_IT","Name":"/k8s_nginx_web-0","Config":{"Image":"sha256:1","Labels":{
            "io.kubernetes.container.name":"nginx","io.kubernetes.pod.name":"web-0","io.kubernetes.pod.namespace":"shop"}}}"#,
    );
    assert_eq!(
        host.words(None),
        "docker name=k8s_nginx_web-0 image=sha256:1 namespace=shop pod=web-0 container=nginx"
    );
}

#[test]
fn containerd_s_annotations_name_the_pod() {
    let annotations = r#"{"ociVersion":"1.1.0","process":{"env":["SECRET=x"]},"annotations":{
        "io.kubernetes.cri.container-name":"nginx","io.kubernetes.cri.container-type":"container",
        "io.kubernetes.cri.image-name":"docker.io/library/nginx:1","io.kubernetes.cri.sandbox-id":"1",
        "io.kubernetes.cri.sandbox-name":"web-0","io.kubernetes.cri.sandbox-namespace":"shop"}}"#;
    for path in [CONTAINERD, &CONTAINERD.replace("/run/", "/run/k3s/")] {
        for runtime in [None, Some("containerd")] {
            assert_eq!(
                Host::with(path, annotations).words(runtime),
                "containerd name=nginx image=docker.io/library/nginx:1 namespace=shop pod=web-0 container=nginx"
            );
        }
    }
}

#[test]
fn nerdctl_s_name_is_found_in_its_own_namespace() {
    let path = CONTAINERD.replace("k8s.io", "mine");
    let host = Host::with(&path, r#"{"annotations":{"nerdctl/name":"web"}}"#);
    assert_eq!(host.words(Some("containerd")), "containerd name=web");
}

#[test]
fn podman_s_name_is_in_the_list() {
    let host = Host::with(
        "/var/lib/containers/storage/overlay-containers/containers.json",
        r#"[{"id":"other","names":["db"]},
            {"id":"ID_OF_IT","names":["web"],"image":"c0ffee","layer":"1",
             "metadata":"{\"image-name\":\"docker.io/library/nginx:1\",\"image-id\":\"c0ffee\",\"name\":\"web\",\"created-at\":1}"}]"#,
    );
    assert_eq!(
        host.words(Some("podman")),
        "podman name=web image=docker.io/library/nginx:1"
    );
}

#[test]
fn cri_o_s_annotations_name_the_pod() {
    let annotations = r#"{"annotations":{"io.kubernetes.cri-o.ContainerType":"container",
        "io.kubernetes.cri-o.ImageName":"quay.io/nginx:1","io.kubernetes.container.name":"nginx",
        "io.kubernetes.pod.name":"web-0","io.kubernetes.pod.namespace":"shop"}}"#;
    for directory in ["/run", "/var/lib"] {
        let path =
            format!("{directory}/containers/storage/overlay-containers/ID/userdata/config.json");
        assert_eq!(
            Host::with(&path, annotations).words(Some("cri-o")),
            "cri-o name=nginx image=quay.io/nginx:1 namespace=shop pod=web-0 container=nginx"
        );
    }
}

#[test]
fn other_runtimes_are_not_asked() {
    let host = Host::with(DOCKER, r#"{"ID":"ID_OF_IT","Name":"/web","Config":{}}"#);
    assert_eq!(host.words(Some("containerd")), "-");
    assert_eq!(host.words(Some("podman")), "-");
}

#[test]
fn task_of_the_cgroup_is_not_given_another_s_names() {
    let host = Host::with(
        DOCKER,
        r#"{"ID":"ID_OF_IT","Name":"/x","Config":{"Labels":{"com.amazonaws.ecs.task-arn":"arn:aws:ecs:r:1:task/c/other","com.amazonaws.ecs.cluster":"c"}}}"#,
    );
    let mut process = fixture::request().process.unwrap();
    let before = process.ecs.clone();
    host.names(None).unwrap().describe(&mut process);
    assert_eq!(process.ecs, before);
}

#[test]
fn what_is_no_such_state_tells_nothing() {
    for text in [
        "",
        "{",
        "[]",
        "null",
        r#"{"ID":"another","Name":"/web"}"#,
        r#"{"Name":"/web"}"#,
    ] {
        assert_eq!(Host::with(DOCKER, text).words(None), "-", "{text}");
    }
    let long = format!(
        r#"{{"ID":"ID_OF_IT","Name":"/web","x":"{}"}}"#,
        "x".repeat(2 << 20)
    );
    assert_eq!(Host::with(DOCKER, &long).words(None), "-");
    let deep = "[".repeat(100_000);
    assert_eq!(Host::with(DOCKER, &deep).words(None), "-");
}

#[test]
fn hostile_names_are_escaped() {
    let host = Host::with(
        DOCKER,
        "{\"ID\":\"ID_OF_IT\",\"Name\":\"/a\\u001b[2J\\n\",\"Config\":{}}",
    );
    assert_eq!(host.words(Some("docker")), "docker name=a\\x1b[2J\\n");
}
