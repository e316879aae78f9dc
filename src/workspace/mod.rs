//! Projects, checkouts, the cache, and files that are written: what the command line and the language server share.
//!
//! Nothing here builds an image.

mod assets;
mod cache;
mod checkout;
mod confine;
mod discover;
mod download;
mod identity;
mod library;
mod lock;
mod make;
mod revision;
mod stage;
mod vendor;
mod write;

pub(crate) use assets::ASSET_SUMS;
pub use assets::{assets, unpack};
#[cfg(unix)]
pub(crate) use cache::{CACHES, IGNORE, IGNORE_ALL, TAG};
pub use cache::{cache, make_cache, make_ignored};
pub use checkout::{adopt_checkout, is_known, read_checkout, refusals};
pub use confine::{Limits, confine_calls, confine_files};
pub use discover::{Wanted, project_library, project_root, read_config, spec_files, spec_folders};
pub use identity::{Eyes, Own, Seen, put_id, sha256_file};
pub use library::library;
#[cfg(unix)]
pub(crate) use lock::LOCK;
pub use lock::{Holder, Lock, name_holder};
pub use make::{USER_FILE, find_checkout, find_installers, read_recipes};
pub use revision::{Commit, find_commit, unpack_revision};
pub use stage::Stage;
pub use vendor::{Copies, Copy, find_copies};
#[cfg(unix)]
pub(crate) use write::replace_private;
pub use write::{
    ImageFolder, WriteError, add_image, append, begin, create, replace, rewrite, room_in, stale,
    tidy, write,
};
