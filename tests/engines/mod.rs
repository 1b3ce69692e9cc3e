//! What the engines do where they differ from AWS or from one another: the product and its other tests rely on it,
//! and a new version of an engine may change it. Where both do the same, one test runs on both.

mod bench;
mod both;
mod embedded;
mod local;
