// SPDX-License-Identifier: GPL-2.0

//! Values that become others in their place.

/// Makes of what is at `place` what `f` makes of it, for values that cannot be missing
/// meanwhile.
pub fn transform<T>(place: &mut T, f: impl FnOnce(T) -> T) {
    const {
        assert!(
            cfg!(panic = "abort"),
            "nobody may see the place without a value"
        );
    }
    // SAFETY: The value is moved out, and another is put there; as panics do not unwind, `f`
    // returns, or nothing runs on.
    unsafe { core::ptr::write(place, f(core::ptr::read(place))) };
}
