//! Requests and answers whose bodies dynasplit writes and reads itself. Everything else is the SDK's: credentials, signatures,
//! endpoints, timeouts, errors.

use crate::model::raw::RawPage;
use crate::plan::LookedAt;
use aws_sdk_dynamodb::config::interceptors::{
    BeforeSerializationInterceptorContextMut, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::scan::{Scan, ScanOutput};
use aws_smithy_runtime_api::client::interceptors::context::{Error, Output};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugin as _;
use aws_smithy_runtime_api::client::ser_de::{DeserializeResponse, SharedResponseDeserializer};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::FrozenLayer;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Sends a request with this body instead of the one that the SDK wrote.
#[derive(Debug)]
pub struct OwnBody(SdkBody);

impl OwnBody {
    /// A body.
    #[must_use]
    pub fn new(body: Vec<u8>) -> Self {
        Self(body.into())
    }
}

impl Intercept for OwnBody {
    fn name(&self) -> &'static str {
        "OwnBody"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = self.0.try_clone().ok_or("the body was sent")?;
        let length = body.content_length().unwrap_or_default();
        let request = context.request_mut();
        request.headers_mut().insert("content-length", length.to_string());
        *request.body_mut() = body;
        Ok(())
    }
}

/// Reads the answer to a `Scan` only as far as the plan looks at it. An answer that it cannot read so is read by the SDK.
#[derive(Clone, Debug)]
pub struct RawScan {
    looked_at: Arc<LookedAt>,
    page: Arc<Mutex<Option<RawPage>>>,
}

impl RawScan {
    /// Of the items, these attributes are looked at.
    #[must_use]
    pub fn new(looked_at: &Arc<LookedAt>) -> Self {
        Self {
            looked_at: Arc::clone(looked_at),
            page: Arc::default(),
        }
    }

    /// The page, after the answer. `None`: the SDK has read it.
    #[must_use]
    pub fn take(&self) -> Option<RawPage> {
        self.page.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Intercept for RawScan {
    fn name(&self) -> &'static str {
        "RawScan"
    }

    fn modify_before_serialization(
        &self,
        _: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let own = SharedResponseDeserializer::new(self.clone());
        config.interceptor_state().store_put(own);
        Ok(())
    }
}

impl DeserializeResponse for RawScan {
    fn deserialize_nonstreaming_with_config(
        &self,
        response: &HttpResponse,
        config: &ConfigBag,
    ) -> Result<Output, OrchestratorError<Error>> {
        let body = response
            .body()
            .bytes()
            .filter(|_| response.status().as_u16() == 200);
        let read = body.map(|body| RawPage::read(body, &|name| self.looked_at.has(name)));
        if let Some(Ok(page)) = read {
            *self.page.lock().unwrap_or_else(PoisonError::into_inner) = Some(page);
            return Ok(Output::erase(ScanOutput::builder().build()));
        }
        let sdk = sdk().load::<SharedResponseDeserializer>();
        let sdk = sdk.ok_or_else(|| OrchestratorError::other("the SDK cannot read the answer to a Scan"))?;
        sdk.deserialize_nonstreaming_with_config(response, config)
    }
}

/// What the SDK does for a `Scan`.
fn sdk() -> &'static FrozenLayer {
    static SDK: OnceLock<FrozenLayer> = OnceLock::new();
    SDK.get_or_init(|| {
        let empty = || aws_smithy_types::config_bag::Layer::new("empty").freeze();
        Scan::new().config().unwrap_or_else(empty)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamo::convert::item_from_sdk;
    use crate::model::json::item_to_json;
    use crate::model::json::tests::any_item;
    use crate::model::raw::RawPage;
    use crate::model::{Item, ItemExt as _};
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_runtime_api::http::StatusCode;
    use proptest::prelude::*;
    use serde_json::json;

    /// What the SDK reads in an answer.
    fn by_the_sdk(answer: &[u8]) -> Option<ScanOutput> {
        let response = HttpResponse::new(StatusCode::try_from(200).unwrap(), SdkBody::from(answer));
        let sdk = sdk().load::<SharedResponseDeserializer>().unwrap();
        let read = sdk.deserialize_nonstreaming_with_config(&response, &ConfigBag::base());
        read.ok().map(|output| output.downcast::<ScanOutput>().unwrap())
    }

    fn items_of(output: &ScanOutput) -> Option<Vec<Item>> {
        let items = output.items().iter().cloned();
        items.map(|item| item_from_sdk(item).ok()).collect()
    }

    /// Whatever is read raw, the SDK reads alike.
    fn agree(answer: &[u8], looked_at: u8) -> Result<bool, TestCaseError> {
        let looks = |name: &str| name.bytes().fold(looked_at, u8::wrapping_add) % 2 == 0;
        let Ok(page) = RawPage::read(answer, &looks) else {
            return Ok(false);
        };
        let sdk = by_the_sdk(answer).unwrap();
        let items = items_of(&sdk).unwrap();
        let decoded: Vec<Item> = page.items.iter().map(|item| item.decoded().unwrap()).collect();
        prop_assert_eq!(&decoded, &items);
        for (raw, item) in page.items.iter().zip(&items) {
            for (name, value) in &raw.read {
                prop_assert_eq!(item.get(name), Some(value));
            }
            let put = crate::model::raw::RawPut::new(raw.read.clone(), raw, |_| true);
            prop_assert_eq!(put.size(), item.size());
            prop_assert_eq!(&put.decoded().unwrap(), item);
        }
        let last = sdk
            .last_evaluated_key()
            .cloned()
            .map(|key| item_from_sdk(key).unwrap());
        prop_assert_eq!(&page.last_key, &last);
        let units = sdk
            .consumed_capacity()
            .and_then(|consumed| consumed.capacity_units());
        prop_assert_eq!(page.units, units);
        Ok(true)
    }

    proptest! {
        #[test]
        fn a_page_is_read_as_the_sdk_reads_it(
            items in proptest::collection::vec(any_item(), 0..4),
            last in proptest::option::of(any_item()),
            units in proptest::option::of(0.0..1000.0f64),
            is_spread: bool,
            looked_at: u8,
        ) {
            let mut answer = json!({
                "Count": items.len(),
                "Items": items.iter().map(item_to_json).collect::<Vec<_>>(),
                "New": [{ "a": [1, -2.5e3, null, true, "x\"}"] }, {}, []],
            });
            if let Some(last) = &last {
                answer["LastEvaluatedKey"] = item_to_json(last);
            }
            if let Some(units) = units {
                answer["ConsumedCapacity"] = json!({ "TableName": "T", "CapacityUnits": units });
            }
            let text = match is_spread {
                true => serde_json::to_string_pretty(&answer),
                false => serde_json::to_string(&answer),
            };
            prop_assert!(agree(text.unwrap().as_bytes(), looked_at)?);
        }

        /// A text in which something was changed is read as the SDK reads it, or left to the SDK.
        #[test]
        fn what_is_odd_is_left_to_the_sdk(
            item in any_item(),
            at in any::<proptest::sample::Index>(),
            with in proptest::sample::select(br#"{}[]":,\0truenNSB x1-.e="#.to_vec()),
            cut: bool,
            looked_at: u8,
        ) {
            let mut text = json!({ "Items": [item_to_json(&item)] }).to_string().into_bytes();
            let at = at.index(text.len());
            if cut {
                text.truncate(at);
            } else {
                text[at] = with;
            }
            agree(&text, looked_at)?;
        }
    }

    #[test]
    fn a_value_of_a_type_that_nobody_knows_is_left_to_the_sdk() {
        for value in [
            r#"{"ZZ":"x"}"#,
            r#"{"N":"1e200"}"#,
            r#"{"N":"x"}"#,
            r#"{"B":"!"}"#,
            r#"{"S":"x","N":"1"}"#,
            r#"{"S":"\ud800"}"#,
            r#"{"M":{"a":{"ZZ":"x"}}}"#,
        ] {
            let answer = format!(r#"{{"Items":[{{"a":{value}}}]}}"#);
            for looks in [true, false] {
                let page = RawPage::read(answer.as_bytes(), &|_| looks);
                assert!(page.is_err(), "{value}");
            }
        }
    }
}
