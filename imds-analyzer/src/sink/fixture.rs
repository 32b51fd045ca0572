//! Events for the tests of this module and of the schema.
