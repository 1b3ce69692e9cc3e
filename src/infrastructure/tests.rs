//! Names, ARNs and escaping; `tests/cli/documents.rs` tests whole documents against an engine.

use super::arn::Account;
use super::name::{distinct, identifier, logical_id};
use super::policy::{Policy, Statement};
use super::{Task, probe_policy, terraform_policy, tool_policy};
use crate::plan::{Place, Plan};
use std::collections::BTreeSet;

#[test]
fn names_that_become_the_same_get_a_number() {
    let services = ["course-catalog", "course catalog", "CourseCatalog", "1", "数"];
    let ids = distinct(services.into_iter(), logical_id);
    assert_eq!(
        ids,
        [
            "CourseCatalogTable",
            "CourseCatalogTable2",
            "CourseCatalogTable3",
            "1Table",
            "Table"
        ]
    );
    let names = distinct(services.into_iter(), identifier);
    assert_eq!(
        names,
        ["course_catalog", "course_catalog2", "course_catalog3", "_1", "_"]
    );
}

#[test]
fn an_arn_has_the_partition_of_its_region_and_the_account_of_its_role() {
    let account = Account::new("123456789012", "eu-central-1").unwrap();
    let place = |region: Option<&str>, role: Option<&str>| Place {
        region: region.map(str::to_owned),
        role: role.map(str::to_owned),
    };
    let arn = |region, role| account.table(&place(region, role), "T");
    assert_eq!(
        arn(None, None).unwrap(),
        "arn:aws:dynamodb:eu-central-1:123456789012:table/T"
    );
    assert_eq!(
        arn(Some("cn-north-1"), None).unwrap(),
        "arn:aws-cn:dynamodb:cn-north-1:123456789012:table/T"
    );
    assert_eq!(
        arn(
            Some("us-gov-west-1"),
            Some("arn:aws-us-gov:iam::210987654321:role/a/b")
        )
        .unwrap(),
        "arn:aws-us-gov:dynamodb:us-gov-west-1:210987654321:table/T"
    );
    assert!(arn(None, Some("role/b")).is_err());
    assert!(Account::new("12345678901", "x").is_err());
    let here = place(None, None);
    assert_eq!(account.kms_key(&here, "alias/a"), Ok(None));
    assert_eq!(
        account.kms_key(&here, "arn:aws:kms:eu-central-1:1:alias/a"),
        Ok(None)
    );
    assert_eq!(
        account.kms_key(&here, "1234").unwrap().as_deref(),
        Some("arn:aws:kms:eu-central-1:123456789012:key/1234")
    );
}

#[test]
fn terraform_interpolates_nothing_of_the_plan() {
    let policy = Policy::of([Statement::new(
        "${a}",
        &["dynamodb:GetItem"],
        vec!["%{b}\"".to_owned()],
    )]);
    let text = terraform_policy("x", &policy).unwrap();
    assert!(text.contains("$${a}") && text.contains("%%{b}\\\""), "{text}");
}

#[test]
fn a_policy_allows_to_notify_the_destinations_of_the_plan_and_no_others() {
    let plan = |notify: &str| {
        let text = format!(
            "version: 1\nsplit: s\nsource: {{ table: Source, keys: {{ partition: PK }} }}\ntimestamp: none\nunrouted: fail\n{notify}\
             services: [{{ name: A, where: attribute_exists(PK), table: {{ name: Target, keys: {{ partition: PK }} }} }}]\n"
        );
        Plan::parse(&text, "plan.yaml").unwrap()
    };
    let account = Account::new("123456789012", "eu-central-1").unwrap();
    let allowed = |plan: &Plan, tasks: &[Task]| -> Vec<(Vec<String>, Vec<String>)> {
        let policy = tool_policy(plan, &account, &tasks.iter().copied().collect()).unwrap();
        let statements = policy.statement.into_iter();
        let notifies = statements.filter(|each| each.sid.starts_with("Notify"));
        notifies.map(|each| (each.action, each.resource)).collect()
    };
    let topic = "arn:aws:sns:eu-central-1:123456789012:split";
    let topic_and_webhook =
        format!("notify: {{ to: [{{ sns: '{topic}' }}, {{ webhook: {{ variable: HOOK }} }}] }}\n");
    assert_eq!(
        allowed(&plan(&topic_and_webhook), &[Task::Look, Task::Run]),
        [(vec!["sns:Publish".to_owned()], vec![topic.to_owned()])]
    );
    assert_eq!(allowed(&plan(&topic_and_webhook), &[Task::GiveUp]), []);
    assert_eq!(allowed(&plan(""), &[Task::Run]), []);
}

#[test]
fn a_policy_allows_imports_only_if_the_plan_has_a_bucket_for_them() {
    let allowed = |section: &str, task: Task| -> Vec<String> {
        let text = format!(
            "version: 1\nsplit: s\nsource: {{ table: Source, keys: {{ partition: PK }} }}\ntimestamp: none\nunrouted: fail\n{section}\
             services: [{{ name: A, where: attribute_exists(PK), table: {{ name: Target, keys: {{ partition: PK }}, tags: {{ a: b }}, \
             point-in-time-recovery: true }} }}]\n"
        );
        let plan = Plan::parse(&text, "plan.yaml").unwrap();
        let account = Account::new("123456789012", "eu-central-1").unwrap();
        let policy = tool_policy(&plan, &account, &[Task::SetUp, task].into()).unwrap();
        let sids: Vec<&String> = policy.statement.iter().map(|each| &each.sid).collect();
        let distinct: BTreeSet<&&String> = sids.iter().collect();
        assert_eq!(sids.len(), distinct.len(), "{sids:?}");
        let statements = policy.statement.into_iter();
        let of_imports = statements.filter(|each| each.sid.contains("Import"));
        of_imports.flat_map(|each| each.resource).collect()
    };
    assert_eq!(allowed("", Task::Run), Vec::<String>::new());
    let section = "s3: { bucket: mine, prefix: splits }\n";
    assert_eq!(allowed(section, Task::GiveUp), Vec::<String>::new());
    let resources = allowed(section, Task::Run);
    for resource in [
        "arn:aws:s3:::mine/splits/s/*",
        "arn:aws:s3:::mine",
        "arn:aws:dynamodb:eu-central-1:123456789012:table/Target",
        "arn:aws:dynamodb:eu-central-1:123456789012:table/Target/import/*",
    ] {
        assert!(
            resources.iter().any(|each| each == resource),
            "{resource}: {resources:?}"
        );
    }
}

#[test]
fn a_policy_allows_to_share_a_verify_if_the_plan_has_a_bucket() {
    let allowed = |section: &str| {
        let text = format!(
            "version: 1\nsplit: s\nsource: {{ table: Source, keys: {{ partition: PK }} }}\ntimestamp: none\nunrouted: fail\n{section}\
             services:\n- {{ name: A, where: \"begins_with(PK, 'A')\", table: {{ name: Target, keys: {{ partition: PK }} }} }}\n"
        );
        let plan = Plan::parse(&text, "plan.yaml").unwrap();
        let account = Account::new("123456789012", "eu-central-1").unwrap();
        let policy = tool_policy(&plan, &account, &BTreeSet::from([Task::Look])).unwrap();
        let statements = policy.statement.into_iter().flat_map(|each| {
            let (actions, resources) = (each.action, each.resource);
            let pairs = actions.into_iter().flat_map(move |action| {
                resources
                    .clone()
                    .into_iter()
                    .map(move |resource| format!("{action} {resource}"))
            });
            pairs.collect::<Vec<_>>()
        });
        statements.collect::<BTreeSet<String>>()
    };
    let more: Vec<String> = allowed("s3: { bucket: mine, prefix: splits }\n")
        .difference(&allowed(""))
        .cloned()
        .collect();
    let objects = "arn:aws:s3:::mine/splits/s/verify/*";
    assert_eq!(
        more,
        [
            format!("s3:DeleteObject {objects}"),
            format!("s3:GetObject {objects}"),
            "s3:ListBucket arn:aws:s3:::mine".to_owned(),
            format!("s3:PutObject {objects}"),
        ]
    );
    // A result that is not clean removes the proofs of before.
    let state = "arn:aws:dynamodb:eu-central-1:123456789012:table/dynasplit-s";
    assert!(allowed("").contains(&format!("dynamodb:DeleteItem {state}")));
}

#[test]
fn a_policy_allows_to_send_the_events_of_the_plan_and_no_others() {
    let arn = |service: &str, name: &str| format!("arn:aws:{service}:eu-central-1:123456789012:{name}");
    let (topic, queue, bus) = (
        arn("sns", "t"),
        arn("sqs", "q.fifo"),
        arn("events", "event-bus/b"),
    );
    let service = |name: &str, to: &str| {
        format!(
            "- {{ name: {name}, where: \"begins_with(PK, '{name}')\", events: {{ to: {{ {to} }} }}, table: {{ name: Table{name}, \
             keys: {{ partition: PK }} }} }}\n"
        )
    };
    let text = format!(
        "version: 1\nsplit: s\nsource: {{ table: Source, keys: {{ partition: PK }} }}\ntimestamp: none\nunrouted: fail\nservices:\n{}{}{}{}",
        service("A", &format!("sns: '{topic}'")),
        service("B", &format!("sqs: '{queue}'")),
        service("C", &format!("event-bus: '{bus}'")),
        service("D", &format!("sqs: '{queue}'")),
    );
    let plan = Plan::parse(&text, "plan.yaml").unwrap();
    let account = Account::new("123456789012", "eu-central-1").unwrap();
    let allowed = |task: Task| -> Vec<(Vec<String>, Vec<String>)> {
        let policy = tool_policy(&plan, &account, &[task].into()).unwrap();
        let statements = policy.statement.into_iter();
        let sends = statements.filter(|each| each.sid.starts_with("SendEvents"));
        sends.map(|each| (each.action, each.resource)).collect()
    };
    let actions = |actions: &[&str]| {
        actions
            .iter()
            .map(|action| (*action).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        allowed(Task::Run),
        [
            (actions(&["sns:Publish"]), vec![topic]),
            (actions(&["sqs:GetQueueUrl", "sqs:SendMessage"]), vec![queue]),
            (actions(&["events:PutEvents"]), vec![bus]),
        ]
    );
    assert_eq!(
        allowed(Task::Look),
        [],
        "only `replicate` and repairs send events"
    );
}

#[test]
fn a_probe_role_may_try_the_tables_that_it_is_named_for_and_no_others() {
    let role = |name: &str| format!("arn:aws:iam::123456789012:role/{name}");
    let text = format!(
        "version: 1\nsplit: s\nsource: {{ table: Source, keys: {{ partition: PK }} }}\ntimestamp: none\nunrouted: fail\n\
         fence: {{ policy: {{ scope: table, probe-roles: ['{}'] }} }}\nservices:\n\
         - {{ name: A, where: \"begins_with(PK, 'A')\", table: {{ name: TableA, keys: {{ partition: PK }} }}, fence: {{ policy: \
         {{ scope: table, probe-roles: ['{}'], target-probe-roles: ['{}'] }} }} }}\n\
         - {{ name: B, where: \"begins_with(PK, 'B')\", table: {{ name: TableB, keys: {{ partition: PK }} }} }}\n",
        role("old"),
        role("old"),
        role("a")
    );
    let plan = Plan::parse(&text, "plan.yaml").unwrap();
    let account = Account::new("123456789012", "eu-central-1").unwrap();
    let tables = |who: Option<&str>| {
        let policy = probe_policy(&plan, &account, who).unwrap()?;
        let tables = policy.statement.into_iter().flat_map(|each| each.resource);
        let names = tables.filter_map(|arn| arn.split('/').next_back().map(str::to_owned));
        Some(names.collect::<Vec<_>>())
    };
    assert_eq!(tables(None).unwrap(), ["Source", "TableA"]);
    assert_eq!(tables(Some(&role("old"))).unwrap(), ["Source"]);
    assert_eq!(tables(Some(&role("a"))).unwrap(), ["TableA"]);
    assert_eq!(tables(Some(&role("other"))), None);
}
