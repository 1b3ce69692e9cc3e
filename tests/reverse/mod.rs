//! The way back of a service that has switched: what the service writes to its own table is carried back to the source, as
//! the application would have written it there, whatever workers die; and writes of others to the source are found.

mod carried;
mod kept;
mod lag;
mod scene;
