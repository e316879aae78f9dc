//! Lists that are indexed by the ids of a program.

use crate::project::hir::{ProbeId, ProviderId, RuleId, SectionId, VarId};
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};
use std::sync::{Arc, OnceLock};

/// The place of an item in a list.
pub trait Id: Copy {
    /// Makes the id of a place.
    fn new(at: usize) -> Self;
    /// Returns the place.
    fn at(self) -> usize;
}

macro_rules! id {
    ($($name:ident)*) => {$(
        impl Id for $name {
            fn new(at: usize) -> $name {
                $name(at as u32)
            }

            fn at(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

id! { VarId SectionId ProviderId RuleId ProbeId }

/// A list with an item for each id of one kind: a library's items first, which many programs share and none changes,
/// then those of its own.
///
/// No text makes an id: a program gives ids to its own items only, and never removes an item. So an id finds its item,
/// and this is the one place that relies on it. An id of another program is a mistake in the compiler, and so is a
/// change of a library's item.
#[derive(Debug)]
pub struct Table<I, T> {
    library: Option<Arc<Shared<T>>>,
    /// The number of the library's items.
    shared: usize,
    own: Vec<T>,
    ids: PhantomData<I>,
}

/// Reads an item of a library by its place.
type ReadItem<T> = Box<dyn Fn(usize) -> Option<T> + Send + Sync>;

/// The items of a library. One that is stored is read when it is first asked for: a spec needs few of them.
struct Shared<T> {
    items: Box<[OnceLock<Box<T>>]>,
    read: Option<ReadItem<T>>,
}

impl<T> Shared<T> {
    #[inline]
    fn get(&self, at: usize) -> Option<&T> {
        let item = self.items.get(at)?;
        match item.get() {
            Some(known) => Some(known),
            None => self.read(at, item),
        }
    }

    #[cold]
    fn read<'t>(&self, at: usize, item: &'t OnceLock<Box<T>>) -> Option<&'t T> {
        let read = self.read.as_ref()?(at)?;
        Some(item.get_or_init(|| Box::new(read)))
    }
}

impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} items", self.items.len())
    }
}

impl<I: Id, T> Table<I, T> {
    /// Makes a table without a library.
    pub fn new(own: Vec<T>) -> Table<I, T> {
        Table {
            library: None,
            shared: 0,
            own,
            ids: PhantomData,
        }
    }

    /// Makes a table with the same value for each item of another table.
    pub fn filled<U>(like: &Table<I, U>, value: T) -> Table<I, T>
    where
        T: Clone,
    {
        Table::new(vec![value; like.len()])
    }

    /// Makes its own items those of a library.
    pub fn into_library(self) -> Table<I, T> {
        Table::shared(Shared {
            items: self
                .own
                .into_iter()
                .map(Box::new)
                .map(OnceLock::from)
                .collect(),
            read: None,
        })
    }

    /// Makes a table of a library with `count` items. `read` returns the item of each place, and is called when something
    /// asks for the item.
    pub(crate) fn stored(
        count: usize,
        read: impl Fn(usize) -> Option<T> + Send + Sync + 'static,
    ) -> Table<I, T> {
        Table::shared(Shared {
            items: (0..count).map(|_| OnceLock::new()).collect(),
            read: Some(Box::new(read)),
        })
    }

    fn shared(library: Shared<T>) -> Table<I, T> {
        Table {
            shared: library.items.len(),
            library: Some(Arc::new(library)),
            own: Vec::new(),
            ids: PhantomData,
        }
    }

    /// Makes a table that begins with the items of a library.
    pub fn of_library(library: &Table<I, T>) -> Table<I, T> {
        Table {
            library: library.library.clone(),
            shared: library.shared,
            own: Vec::new(),
            ids: PhantomData,
        }
    }

    /// Adds an item, and gives it its id.
    pub fn push(&mut self, item: T) -> I {
        self.own.push(item);
        I::new(self.len() - 1)
    }

    /// Returns all items, in the order of their ids. Reads those of the library that are stored.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + Clone {
        let library = (0..self.shared).filter_map(|at| self.library.as_ref()?.get(at));
        library.chain(&self.own)
    }

    /// Returns its own items, in the order of their ids.
    pub fn own(&self) -> &[T] {
        &self.own
    }

    /// Returns the number of items.
    pub fn len(&self) -> usize {
        self.shared + self.own.len()
    }

    /// True where it has no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Finds the item of an id that may be one of another program.
    #[inline]
    pub fn find(&self, id: I) -> Option<&T> {
        match id.at().checked_sub(self.shared) {
            Some(at) => self.own.get(at),
            None => self.library.as_ref()?.get(id.at()),
        }
    }

    /// Returns all ids, in order.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = I> + DoubleEndedIterator + use<I, T> {
        (0..self.len()).map(I::new)
    }

    /// Returns the ids of its own items, in order.
    pub fn own_ids(&self) -> impl ExactSizeIterator<Item = I> + DoubleEndedIterator + use<I, T> {
        (self.shared..self.len()).map(I::new)
    }

    /// Returns all items with their ids. Reads those of the library that are stored.
    pub fn pairs(&self) -> impl Iterator<Item = (I, &T)> {
        self.iter().enumerate().map(|(at, item)| (I::new(at), item))
    }

    /// Returns its own items with their ids.
    pub fn own_pairs(&self) -> impl Iterator<Item = (I, &T)> {
        self.own_ids().zip(&self.own)
    }
}

impl<I: Id, T> Default for Table<I, T> {
    fn default() -> Table<I, T> {
        Table::new(Vec::new())
    }
}

impl<I: Id, T> Index<I> for Table<I, T> {
    type Output = T;

    #[inline]
    #[allow(clippy::indexing_slicing, reason = "an id finds its item; see `Table`")]
    fn index(&self, id: I) -> &T {
        match id.at().checked_sub(self.shared) {
            Some(at) => &self.own[at],
            None => self.find(id).as_slice()[0],
        }
    }
}

/// Own items only.
impl<I: Id, T> IndexMut<I> for Table<I, T> {
    #[allow(
        clippy::indexing_slicing,
        reason = "only own items change; see `Table`"
    )]
    fn index_mut(&mut self, id: I) -> &mut T {
        let at = id.at() - self.shared;
        &mut self.own[at]
    }
}

/// A short list for each id of one kind: all of them one after the other in memory.
#[derive(Debug)]
pub struct Lists<I, T> {
    /// Where the list of each id ends.
    ends: Vec<u32>,
    items: Vec<T>,
    ids: PhantomData<I>,
}

impl<I: Id, T: Copy> Lists<I, T> {
    /// Makes the lists for `count` ids. Each pair adds an item to the end of the list of its id.
    pub fn new(count: usize, mut pairs: Vec<(I, T)>) -> Lists<I, T> {
        pairs.sort_by_key(|(id, _)| id.at());
        let mut ends = Vec::with_capacity(count);
        let mut end = 0;
        for at in 0..count {
            let from = pairs.get(end..).unwrap_or_default();
            end += from.iter().take_while(|(id, _)| id.at() == at).count();
            ends.push(end as u32);
        }
        Lists {
            ends,
            items: pairs.into_iter().map(|(_, item)| item).collect(),
            ids: PhantomData,
        }
    }

    /// Returns the list of an id.
    pub fn get(&self, id: I) -> &[T] {
        let end = |at: Option<usize>| Some(*self.ends.get(at?)? as usize);
        let start = end(id.at().checked_sub(1)).unwrap_or(0);
        let end = end(Some(id.at())).unwrap_or(start);
        self.items.get(start..end).unwrap_or_default()
    }

    /// Returns all ids, in order.
    pub fn ids(&self) -> impl Iterator<Item = I> + use<I, T> {
        (0..self.ends.len()).map(I::new)
    }
}
