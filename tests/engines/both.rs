//! What both engines do alike, and the product relies on.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, BatchStatementRequest, PointInTimeRecoverySpecification, ReturnConsumedCapacity,
    ReturnValuesOnConditionCheckFailure,
};
use aws_sdk_dynamodbstreams::types::ShardIteratorType::{AfterSequenceNumber, AtSequenceNumber};

use crate::engines::bench::{Bench, sequences};
use crate::support::table::{self, item, key, number, text};
use crate::support::{Kind, contents};

#[tokio::test]
async fn a_record_can_be_read_right_after_its_write_and_again_by_the_same_iterator() {
    for bench in Bench::both().await {
        bench.put("0", number(0)).await;
        let iterator = bench.horizon().await;
        for written in 1..=3 {
            bench.put(&written.to_string(), number(written)).await;
            let (records, next) = bench.page(&iterator).await.expect("a page");
            assert_eq!(records.len(), written + 1, "{:?}", bench.engine.kind());
            assert!(next.is_some(), "an open shard has a next iterator");
        }
    }
}

#[tokio::test]
async fn sequence_numbers_have_21_digits_and_are_taken_back_only_at_that_length_or_longer() {
    for bench in Bench::both().await {
        bench.put("1", number(1)).await;
        bench.put("2", number(2)).await;
        let records = bench.records().await;
        let [first, second] = sequences(&records)[..] else {
            panic!("two records: {records:?}")
        };
        assert_eq!((first.len(), second.len()), (21, 21));
        assert!(first < second);

        assert_eq!(
            bench.read_from(AtSequenceNumber, first).await.expect("read"),
            [first, second]
        );
        assert_eq!(
            bench.read_from(AfterSequenceNumber, first).await.expect("read"),
            [second]
        );
        assert!(
            bench
                .read_from(AfterSequenceNumber, second)
                .await
                .expect("read")
                .is_empty()
        );
        let padded = format!("{second:0>40}");
        assert_eq!(
            bench.read_from(AtSequenceNumber, &padded).await.expect("read"),
            [second]
        );
        // DynamoDB Local counts from one: its numbers without their zeros are refused, as any short one is.
        assert_eq!(
            bench.read_from(AtSequenceNumber, "1").await,
            Err("ValidationException".to_owned())
        );
    }
}

#[tokio::test]
async fn a_page_holds_at_most_1000_records() {
    for bench in Bench::both().await {
        table::put_all(
            &bench.tables,
            &bench.table,
            (0..1_010).map(|i| key("a", &i.to_string())),
        )
        .await;
        let (records, next) = bench.page(&bench.horizon().await).await.expect("a page");
        assert_eq!(records.len(), 1_000);
        let (rest, _) = bench.page(&next.expect("more")).await.expect("a page");
        assert_eq!(rest.len(), 10);
    }
}

#[tokio::test]
async fn guards_can_test_types_and_a_refused_one_shows_the_item_and_a_write_its_cost() {
    for bench in Bench::both().await {
        bench.put("1", number(1)).await;
        let guarded = |kind: &str| {
            let put = bench
                .tables
                .put_item()
                .table_name(&bench.table)
                .set_item(Some(key("a", "1")));
            put.condition_expression("attribute_not_exists(PK) OR attribute_type(#v, :t)")
                .expression_attribute_names("#v", "value")
                .expression_attribute_values(":t", text(kind))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
        };
        let refused = guarded("S")
            .send()
            .await
            .expect_err("refused")
            .into_service_error();
        let PutItemError::ConditionalCheckFailedException(refused) = refused else {
            panic!("another error: {refused:?}")
        };
        assert_eq!(
            refused.item().and_then(|item| item.get("value")),
            Some(&number(1))
        );
        let cost = guarded("N")
            .send()
            .await
            .expect("put")
            .consumed_capacity
            .and_then(|cost| cost.capacity_units);
        assert_eq!(cost, Some(1.0));
    }
}

#[tokio::test]
async fn point_in_time_recovery_is_an_unknown_operation() {
    for bench in Bench::both().await {
        let on = PointInTimeRecoverySpecification::builder()
            .point_in_time_recovery_enabled(true)
            .build();
        let update = bench.tables.update_continuous_backups().table_name(&bench.table);
        let refused = update
            .point_in_time_recovery_specification(on.expect("a whole specification"))
            .send()
            .await;
        assert_eq!(
            refused.expect_err("unknown").code(),
            Some("UnknownOperationException")
        );
    }
}

#[tokio::test]
async fn partiql_says_for_each_statement_of_a_batch_whether_it_landed() {
    for bench in Bench::both().await {
        bench.put("1", number(1)).await;
        let table = &bench.table;
        let statements = [
            (
                format!("INSERT INTO \"{table}\" VALUE {{'PK': 'a', 'SK': '1'}}"),
                Some("DuplicateItem"),
            ),
            (
                format!("INSERT INTO \"{table}\" VALUE {{'PK': 'a', 'SK': '2'}}"),
                None,
            ),
            (
                format!("UPDATE \"{table}\" SET x = 1 WHERE PK = 'no' AND SK = '1'"),
                Some("ConditionalCheckFailed"),
            ),
            (
                format!("DELETE FROM \"{table}\" WHERE PK = 'a' AND SK = '1' AND \"value\" = 2"),
                Some("ConditionalCheckFailed"),
            ),
            (
                format!("DELETE FROM \"{table}\" WHERE PK = 'no' AND SK = '2' AND \"value\" = 2"),
                None,
            ),
        ];
        for (statement, expected) in statements {
            let batch = BatchStatementRequest::builder()
                .statement(&statement)
                .build()
                .expect("a whole statement");
            let answer = bench
                .tables
                .batch_execute_statement()
                .statements(batch)
                .send()
                .await
                .expect("an answer");
            let error = answer.responses()[0].error().and_then(|error| error.code());
            assert_eq!(
                error.map(|code| code.as_str()),
                expected,
                "{statement} on {:?}",
                bench.engine.kind()
            );
        }
    }
}

#[tokio::test]
async fn a_batch_with_two_statements_for_one_key_is_refused_and_dynamodb_local_has_written_one_by_then() {
    for bench in Bench::both().await {
        let insert = |value: u8| {
            let statement = format!(
                "INSERT INTO \"{}\" VALUE {{'PK': 'a', 'SK': '1', 'value': {value}}}",
                bench.table
            );
            BatchStatementRequest::builder()
                .statement(statement)
                .build()
                .expect("a whole statement")
        };
        let batch = bench.tables.batch_execute_statement();
        let refused = batch.statements(insert(1)).statements(insert(2)).send().await;
        let code = refused.expect_err("refused").code().map(str::to_owned);
        assert_eq!(
            code.as_deref(),
            Some("ValidationException"),
            "{:?}",
            bench.engine.kind()
        );
        // The product sends no such batch.
        let written = contents::read(&bench.tables, &bench.table).await.len();
        assert_eq!(written, usize::from(bench.engine.kind() == Kind::Genuine));
    }
}

#[tokio::test]
async fn the_independent_reader_reads_every_page_and_compares_by_value() {
    for bench in Bench::both().await {
        // 3 MB: more than a page of a scan.
        let filler = text("x".repeat(10_000));
        let items = (0..300).map(|i| item("a", &i.to_string(), [("filler", filler.clone())]));
        table::put_all(&bench.tables, &bench.table, items).await;
        assert_eq!(contents::read(&bench.tables, &bench.table).await.len(), 300);

        let sets = |numbers: [&str; 2], one: &str| {
            let set = AttributeValue::Ns(numbers.map(str::to_owned).to_vec());
            HashMap::from([("set".to_owned(), set), ("one".to_owned(), number(one))])
        };
        let plain = contents::plain_item(&sets(["1", "2.50"], "1"));
        assert_eq!(plain, contents::plain_item(&sets(["2.5", "1.0"], "1.00")));
        assert_ne!(plain, contents::plain_item(&sets(["2.5", "1.0"], "1.01")));
        table::put(&bench.tables, &bench.table, {
            let mut stored = key("a", "sets");
            stored.extend(sets(["2.5", "1.0"], "1.00"));
            stored
        })
        .await;
        let found = contents::read(&bench.tables, &bench.table).await;
        let stored = &found[&vec![contents::plain(&text("a")), contents::plain(&text("sets"))]];
        assert!(
            plain.iter().all(|(name, value)| stored.get(name) == Some(value)),
            "{stored:?}"
        );
    }
}
