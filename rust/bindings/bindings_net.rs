// SPDX-License-Identifier: GPL-2.0

//! Bindings of the C interfaces of networking and virtio.
//!
//! The kernel crate's own bindings, and what bindgen adds to them for this
//! module. Only `knet` uses this crate.

#![allow(
    clippy::all,
    missing_docs,
    non_camel_case_types,
    non_upper_case_globals,
    non_snake_case,
    improper_ctypes,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]

#[allow(dead_code)]
#[allow(clippy::as_underscore)]
#[allow(clippy::cast_lossless)]
#[allow(clippy::ptr_as_ptr)]
#[allow(clippy::ref_as_ptr)]
#[allow(clippy::undocumented_unsafe_blocks)]
#[allow(unknown_lints)]
#[allow(unnecessary_transmutes)]
mod raw {
    use kernel::ffi;
    #[allow(unused_imports)]
    use pin_init::{MaybeZeroable, Zeroable};

    // What is generated here comes before what the glob brings in.
    pub use kernel::bindings::*;

    type __kernel_size_t = usize;
    type __kernel_ssize_t = isize;
    type __kernel_ptrdiff_t = isize;

    include!(concat!(
        env!("VNR_OBJTREE"),
        "/rust/bindings/bindings_generated.rs"
    ));
}

pub use layout::*;
pub use raw::*;

/// The layouts that Rust reads by field are those of the C compiler.
mod layout {
    use super::raw::*;
    use core::mem::{offset_of, size_of};

    include!(concat!(
        env!("VNR_OBJTREE"),
        "/rust/bindings/layout_generated.rs"
    ));
}
