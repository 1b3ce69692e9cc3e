//! `fence`, `drain` and `hooks`: what is read, and what is refused.

use super::*;
use std::time::Duration;

/// The good plan with more lines at its top.
fn with(lines: &str) -> String {
    GOOD.replacen("services:\n", &format!("{lines}services:\n"), 1)
}

#[track_caller]
fn plan(lines: &str) -> Plan {
    Plan::parse(&with(lines), "shop/plan.yaml").unwrap_or_else(|error| panic!("{error}"))
}

const POLICY: &str = "{ scope: table, probe-roles: ['arn:aws:iam::123456789012:role/shop'] }";

#[test]
fn a_fence_is_of_the_plan_or_of_a_service() {
    let silent = plan("");
    assert_eq!(silent.fence_of(&silent.services[0]), Fence::default());
    let text = with(&format!(
        "fence: {{ manual: the import, policy: {POLICY}, prove-for: 30 }}\n"
    ))
    .replacen(
        "  - name: users\n",
        "  - name: users\n    fence: { manual: the sign-up }\n",
        1,
    );
    let plan = Plan::parse(&text, "p").unwrap_or_else(|error| panic!("{error}"));
    let fence = plan.fence_of(&plan.services[0]);
    assert_eq!(fence.manual.as_deref(), Some("the import"));
    assert_eq!(fence.prove_for, Duration::from_secs(30));
    let policy = fence.policy.unwrap();
    assert_eq!(policy.scope, FenceScope::Table);
    assert_eq!(policy.probe_roles, ["arn:aws:iam::123456789012:role/shop"]);
    let own = plan.fence_of(&plan.services[1]);
    assert_eq!((own.manual.as_deref(), own.policy), (Some("the sign-up"), None));
    assert_eq!(own.prove_for, Fence::PROVE_FOR);
}

#[test]
fn a_drain_waits_for_a_stream_that_is_late() {
    assert_eq!(plan("").drain, Drain::default());
    let later = Drain {
        quiet_for: Duration::from_secs(7),
        ..Drain::default()
    };
    assert_eq!(plan("drain: { quiet-for: 7 }\n").drain, later);
    assert_eq!(plan("drain: quiet\n").drain, Drain::default());
}

#[test]
fn a_drain_by_canary_is_asked_for() {
    assert_eq!(Drain::default().by, DrainBy::Quiet);
    let canary = Drain {
        by: DrainBy::Canary,
        ..Drain::default()
    };
    assert_eq!(plan("drain: canary\n").drain, canary);
    let settings = plan("drain: { by: canary, canary-for: 3, quiet-for: 4 }\n").drain;
    let expected = Drain {
        quiet_for: Duration::from_secs(4),
        canary_for: Duration::from_secs(3),
        ..canary
    };
    assert_eq!(settings, expected);
}

#[test]
fn each_hook_has_its_name_and_its_command() {
    let lines: String = HookName::ALL
        .iter()
        .map(|name| format!("  {name}: {{ run: [./hook.sh, '{name}'], timeout: 7 }}\n"))
        .collect();
    let all = plan(&format!("hooks:\n{lines}"));
    assert_eq!(all.hooks.len(), HookName::ALL.len());
    for (name, hook) in &all.hooks {
        assert_eq!(serde_json::to_value(name).unwrap(), name.word());
        assert_eq!(hook.arguments, [name.word()]);
        assert_eq!(
            (hook.program.as_str(), hook.timeout),
            ("./hook.sh", Duration::from_secs(7))
        );
    }
    assert_eq!(all.folder(), std::path::Path::new("shop"));
    let short = plan("hooks: { switch: ./switch.sh }\n");
    let hook = &short.hooks[&HookName::Switch];
    assert!(hook.arguments.is_empty() && hook.timeout == Duration::from_secs(60));
}

#[test]
fn they_may_change_while_a_split_runs() {
    let (silent, told) = (
        plan(""),
        plan(&format!(
            "fence: {{ policy: {POLICY} }}\ndrain: {{ quiet-for: 9 }}\nhooks: {{ switch: ./x }}\n"
        )),
    );
    assert_eq!(
        (silent.fingerprint(), silent.routes()),
        (told.fingerprint(), told.routes())
    );
}

#[test]
fn each_mistake_is_found_at_its_line() {
    let policy = |rest: &str| format!("fence: {{ policy: {{ scope: table, {rest} }} }}\n");
    let (shop, tool) = (
        "'arn:aws:iam::123456789012:role/shop'",
        "'arn:aws:iam::123456789012:role/tool'",
    );
    for (lines, expected) in [
        ("fence: {}\n".to_owned(), "fence: the fence has no part"),
        (
            "fence: { manual: '' }\n".to_owned(),
            "fence.manual: the text is empty",
        ),
        (
            "fence: { manual: \"a\\eb\" }\n".to_owned(),
            "fence.manual: the text has a control",
        ),
        (
            format!("fence: {{ manual: {} }}\n", "x".repeat(501)),
            "fence.manual: the text has 501",
        ),
        (
            "fence: { manual: x, prove-for: 0 }\n".to_owned(),
            "fence.prove-for: 0 seconds are not",
        ),
        (
            "fence: { manual: x, prove-for: soon }\n".to_owned(),
            "fence.prove-for: expected a whole number",
        ),
        (
            "fence: { hook: x }\n".to_owned(),
            "fence.hook: dynasplit has no such setting",
        ),
        (
            "fence: { policy: { probe-roles: ['arn:aws:iam::123456789012:role/shop'] } }\n".to_owned(),
            "fence.policy: `scope` is missing",
        ),
        (
            policy("probe-roles: []"),
            "fence.policy.probe-roles: no role is listed",
        ),
        (
            policy("probe-roles: [shop]"),
            "fence.policy.probe-roles[0]: `shop` is not the ARN",
        ),
        (
            policy(&format!("probe-roles: [{shop}, {shop}]")),
            "fence.policy.probe-roles[1]: `arn:aws:iam::123456789012:role/shop` is listed twice",
        ),
        (
            policy(&format!("probe-roles: [{shop}], target-probe-roles: ['']")),
            "fence.policy.target-probe-roles[0]: `` is not the ARN",
        ),
        (
            policy(&format!("probe-roles: [{shop}], exempt: [{tool}, {shop}]")),
            "fence.policy.exempt[1]: `arn:aws:iam::123456789012:role/shop` is exempt and a probe",
        ),
        (
            "drain: loud\n".to_owned(),
            "drain: `loud` is not a known value here",
        ),
        (
            "drain: { by: loud }\n".to_owned(),
            "drain.by: `loud` is not a known value here",
        ),
        ("drain: {}\n".to_owned(), "drain: the drain has no setting"),
        (
            "drain: { canary-for: 5 }\n".to_owned(),
            "drain.canary-for: no markers are written",
        ),
        (
            "drain: { by: canary, canary-for: 0 }\n".to_owned(),
            "drain.canary-for: 0 seconds are not",
        ),
        (
            "drain: { quiet-for: 601 }\n".to_owned(),
            "drain.quiet-for: 601 seconds are not",
        ),
        ("hooks: {}\n".to_owned(), "hooks: no hook is named"),
        (
            "hooks: { swich: ./x }\n".to_owned(),
            "hooks.swich: dynasplit has no such setting",
        ),
        (
            "hooks: { switch: '' }\n".to_owned(),
            "hooks.switch: no program is named",
        ),
        (
            "hooks: { switch: ./switch.sh 10 }\n".to_owned(),
            "hooks.switch: this is one program, whose name contains white space",
        ),
        (
            "hooks: { switch: { run: [] } }\n".to_owned(),
            "hooks.switch.run: no program is named",
        ),
        (
            "hooks: { switch: { run: [x], timeout: 3601 } }\n".to_owned(),
            "hooks.switch.timeout: 3601 seconds are not",
        ),
        (
            "hooks: { fence: ./x }\n".to_owned(),
            "hooks.fence: there is no hook `unfence`",
        ),
        (
            "hooks: { unfence-target: ./x }\n".to_owned(),
            "hooks.unfence-target: there is no hook `fence-target`",
        ),
    ] {
        let said: Vec<String> = problems(&with(&lines))
            .into_iter()
            .map(|p| format!("{} {}: {}", p.line, p.path, p.message))
            .collect();
        assert!(
            said.len() == 1 && said[0].starts_with(&format!("6 {expected}")),
            "{lines}{said:#?}"
        );
    }
}

/// A plan with these conditions, of which the first service is fenced by prefix.
fn keys_of(services: &[(&str, &str)], unrouted: &str) -> Result<Vec<String>, String> {
    let services: String = services
        .iter()
        .enumerate()
        .map(|(n, (condition, more))| {
            format!(
                "  - name: s{n}\n    where: {condition}\n    table: {{ name: Table{n}, keys: {{ partition: PK, sort: SK }} }}\n{more}"
            )
        })
        .collect();
    let text = format!(
        "version: 1\nsplit: s\nsource: {{ table: Old, keys: {{ partition: PK, sort: SK }} }}\ntimestamp: none\nunrouted: {unrouted}\n\
         fence: {{ policy: {{ scope: prefix, probe-roles: ['arn:aws:iam::123456789012:role/shop'] }} }}\nservices:\n{services}"
    );
    let plan = Plan::parse(&text, "p").unwrap_or_else(|error| panic!("{text}{error}"));
    let keys = plan.leading_keys(&plan.services[0]);
    let refusals = &plan.cutover()[0].refusals;
    match keys {
        Ok(keys) => {
            assert!(
                refusals.iter().all(|refusal| !refusal.message.contains("policy")),
                "{refusals:?}"
            );
            Ok(keys.unwrap())
        }
        Err(remark) => {
            assert!(refusals.contains(&remark), "`plan` tells it");
            Err(format!(
                "{} {}: {}",
                remark.line.unwrap(),
                remark.path,
                remark.message
            ))
        }
    }
}

#[test]
fn a_policy_by_prefix_stops_the_writers_of_one_service_only() {
    let order = ("begins_with(PK, 'ORDER#')", "");
    let keys = keys_of(&[order, ("begins_with(PK, 'USER#')", "")], "fail");
    assert_eq!(keys.unwrap(), ["ORDER#*"]);
    let exact = keys_of(&[("PK = 'A*$?'", ""), ("PK = 'A'", "")], "fail");
    assert_eq!(
        exact.unwrap(),
        ["A${*}${$}${?}"],
        "signs of the policy language are no wildcards"
    );
    // It receives the same items.
    let copy = keys_of(
        &[order, ("begins_with(PK, 'ORDER#')", "    owns: nothing\n")],
        "fail",
    );
    assert_eq!(copy.unwrap(), ["ORDER#*"]);
    let left = "{ left-behind: \"PK IN ('X', 'Y') OR (begins_with(PK, 'SESSION#') AND SK = 'a')\" }";
    assert_eq!(keys_of(&[order], left).unwrap(), ["ORDER#*"]);
}

#[test]
fn a_prefix_that_covers_keys_of_others_is_refused_with_its_line() {
    let order = ("begins_with(PK, 'ORDER#')", "");
    for (services, unrouted, expected) in [
        (
            vec![order, ("begins_with(PK, 'ORD')", "")],
            "fail",
            "12 services[1].where: a policy for the keys of `s0` would also stop writers of `s1`",
        ),
        (
            vec![
                order,
                ("begins_with(PK, 'ORDER#') AND SK = 'x'", "    owns: nothing\n"),
            ],
            "fail",
            "12 services[1].where: a policy",
        ),
        (
            vec![order, ("PK = 'ORDER#7'", "")],
            "fail",
            "12 services[1].where: a policy",
        ),
        (
            vec![order, ("SK = 'x'", "")],
            "fail",
            "12 services[1].where: a policy",
        ),
        (
            vec![("SK = 'x'", "")],
            "fail",
            "9 services[0].where: a policy cannot tell the writers of the service apart, because `where` does not",
        ),
        (
            vec![("begins_with(PK, 'A') OR begins_with(PK, 'B')", "")],
            "fail",
            "9 services[0].where: a policy cannot",
        ),
        (
            vec![order],
            "{ left-behind: \"begins_with(PK, 'ORDER#1')\" }",
            "5 unrouted.left-behind: a policy for the keys of `s0` would also stop writers of items that are left behind",
        ),
        (
            vec![order],
            "{ left-behind: \"type = 'x'\" }",
            "5 unrouted.left-behind: a policy",
        ),
        (
            vec![order],
            "{ left-behind: \"begins_with(PK, 'A') OR type = 'x'\" }",
            "5 unrouted.left-behind: a policy",
        ),
        (
            vec![order],
            "{ left-behind: \"NOT begins_with(PK, 'A')\" }",
            "5 unrouted.left-behind: a policy",
        ),
    ] {
        let told = keys_of(&services, unrouted).unwrap_err();
        assert!(told.starts_with(expected), "{services:?} {unrouted}: {told}");
    }
}

#[test]
fn the_policy_of_a_whole_table_needs_no_prefix() {
    let plan = Plan::parse(CLIENTS, "p").unwrap();
    let service = plan.service("client").unwrap();
    assert_eq!(plan.leading_keys(service), Ok(None));
    let prefix = CLIENTS.replace("scope: table", "scope: prefix");
    let plan = Plan::parse(&prefix, "p").unwrap();
    let told = plan.leading_keys(plan.service("client").unwrap()).unwrap_err();
    assert!(told.message.contains("`person`"), "{told:?}");
}

#[test]
fn a_probe_never_has_the_key_of_an_item() {
    let text = "version: 1\nsplit: s\nsource: { table: Old, keys: { partition: PK } }\ntimestamp: none\nunrouted: fail\n\
         fence: { policy: { scope: prefix, probe-roles: ['arn:aws:iam::123456789012:role/shop'] } }\nservices:\n  \
         - { name: a, where: PK = 'A', table: { name: New, keys: { partition: PK } } }\n";
    let plan = Plan::parse(text, "p").unwrap_or_else(|error| panic!("{error}"));
    let told = plan.leading_keys(&plan.services[0]).unwrap_err();
    assert!(told.message.contains("without touching its item"), "{told:?}");
}
