//! Lists that are indexed by the ids of a program.

use crate::project::hir::{ProviderId, RuleId, SectionId, VarId};
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// An id that stands for a place in a list.
pub trait Id: Copy {
    fn new(at: usize) -> Self;
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

id! { VarId SectionId ProviderId RuleId }

/// A list with an item for each id of one kind.
///
/// No text makes an id: a program gives ids to its own items only, and never removes an item. So an id finds its item,
/// and this is the one place that relies on it. An id of another program is a mistake in the compiler.
#[derive(Debug)]
pub struct Table<I, T>(Vec<T>, PhantomData<I>);

impl<I: Id, T> Table<I, T> {
    pub fn new(items: Vec<T>) -> Table<I, T> {
        Table(items, PhantomData)
    }

    /// The same value for each item of another table.
    pub fn filled<U>(like: &Table<I, U>, value: T) -> Table<I, T>
    where
        T: Clone,
    {
        Table::new(vec![value; like.0.len()])
    }

    /// Adds an item, and gives it its id.
    pub fn push(&mut self, item: T) -> I {
        self.0.push(item);
        I::new(self.0.len() - 1)
    }

    pub fn as_slice(&self) -> &[T] {
        &self.0
    }

    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The item of an id that may be one of another program.
    pub fn find(&self, id: I) -> Option<&T> {
        self.0.get(id.at())
    }

    /// All ids, in order.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = I> + DoubleEndedIterator + use<I, T> {
        (0..self.0.len()).map(I::new)
    }

    /// All items with their ids.
    pub fn pairs(&self) -> impl Iterator<Item = (I, &T)> {
        self.0
            .iter()
            .enumerate()
            .map(|(at, item)| (I::new(at), item))
    }
}

impl<I, T: Clone> Clone for Table<I, T> {
    fn clone(&self) -> Table<I, T> {
        Table(self.0.clone(), PhantomData)
    }
}

impl<I, T> Default for Table<I, T> {
    fn default() -> Table<I, T> {
        Table(Vec::new(), PhantomData)
    }
}

#[allow(clippy::indexing_slicing, reason = "an id finds its item; see `Table`")]
impl<I: Id, T> Index<I> for Table<I, T> {
    type Output = T;

    fn index(&self, id: I) -> &T {
        &self.0[id.at()]
    }
}

#[allow(clippy::indexing_slicing, reason = "an id finds its item; see `Table`")]
impl<I: Id, T> IndexMut<I> for Table<I, T> {
    fn index_mut(&mut self, id: I) -> &mut T {
        &mut self.0[id.at()]
    }
}
