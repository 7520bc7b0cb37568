-- The events of an application in its own database, for samples/query.toml.
CREATE TABLE events (id INTEGER PRIMARY KEY, user TEXT, account TEXT, event TEXT, plan TEXT, created_at TEXT);
INSERT INTO events VALUES
    (1, 'ada', '7', 'Signed Up', 'Business', '2024-03-01T09:00:00Z'),
    (2, 'bo',  '7', 'Invited',   'Business', '2024-03-01T09:05:00Z'),
    (3, 'cy',  '7', 'Invited',   'Business', '2024-03-01T09:05:00Z'),
    (4, 'dot', '8', 'Signed Up', 'Free',     '2024-03-02T10:00:00Z');
