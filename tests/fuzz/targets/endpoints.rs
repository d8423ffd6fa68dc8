//! What says where to listen and where to connect: what can be read, is shown so that it is read
//! again as the same.

#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use torsade::transport::client_endpoint::ClientEndpoint;
use torsade::transport::endpoint::Endpoint;
use torsade::transport::peers::Who;
use torsade::transport::range::ListenRange;
use torsade::transport::target::Target;

fuzz_target!(|text: &str| {
    same::<ClientEndpoint>(text);
    same::<Endpoint>(text);
    same::<ListenRange>(text);
    same::<Target>(text);
    let _ = text.parse::<Who>();
});

fn same<T>(text: &str)
where
    T: Debug + Display + FromStr<Err: Debug + Display> + PartialEq,
{
    match text.parse::<T>() {
        Ok(value) => {
            let shown = value.to_string();
            let again = shown.parse::<T>();
            let again = again.unwrap_or_else(|e| panic!("{text:?} is shown as {shown:?}: {e}"));
            assert_eq!(again, value, "{text:?} is shown as {shown:?}");
        }
        Err(error) => {
            assert!(!error.to_string().is_empty(), "{text:?} is wrong, and nobody says why")
        }
    }
}
