-- Placeholder while the revision is written.
select;
