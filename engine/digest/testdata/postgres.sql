-- What postgres.copy (the COPY) and postgres.sums (the last query, unaligned) were made with, on PostgreSQL 15.18.
set timezone='UTC';
create table m as select i::int as id, i%3=0 as b, (i%7-3)::int2 as s, (i*1234567890123)::int8 as l,
 case when i%5=0 then null else (i/7.0)::float4 end as r, case i%4 when 0 then 'inf'::float8-'inf'::float8 when 1 then '-0'::float8 when 2 then 0::float8 else i/3.0 end as d,
 (i*1.10)::numeric as n, case i%3 when 0 then '' when 1 then null else 'é'||i end::text as t, ('\x00'||'')::bytea || int4send(i) as y,
 '2020-01-01'::date+i as dt, '12:00:00'::time + make_interval(secs=>i/10.0) as tm, '2020-01-01'::timestamp + make_interval(secs=>i/10.0) as ts, '2020-01-01+00'::timestamptz + make_interval(secs=>i/10.0) as tz,
 make_interval(months=>i,days=>-i,secs=>i) as iv, md5(i::text)::uuid as u, ('{"a": '||i||'}')::json as j, ('{"a": '||i||'}')::jsonb as jb from generate_series(1,40) i;
insert into m select * from m where id=7;
copy m to stdout (format binary);
with h as (select sha256(record_send(row(id,b,s,l,case when r='NaN' then 'NaN' else r end,case when d='NaN' then 'NaN' else d end,n,t,y,dt,tm,ts,tz,iv,u,j,jb))) h, sha256(record_send(row(t,id))) k from m),
x as (select * from h)
select 'full' as level, (get_byte(k,0)<<8|get_byte(k,1)) >> (16-3) as bucket, count(*),
 mod(mod(sum(('x'||encode(substr(h,1,8),'hex'))::bit(64)::bigint), 18446744073709551616)+18446744073709551616,18446744073709551616) a,
 mod(mod(sum(('x'||encode(substr(h,9,8),'hex'))::bit(64)::bigint), 18446744073709551616)+18446744073709551616,18446744073709551616) b from x group by 2
union all
select 'key', (get_byte(k,0)<<8|get_byte(k,1)) >> (16-3), count(*),
 mod(mod(sum(('x'||encode(substr(k,1,8),'hex'))::bit(64)::bigint), 18446744073709551616)+18446744073709551616,18446744073709551616) a,
 mod(mod(sum(('x'||encode(substr(k,9,8),'hex'))::bit(64)::bigint), 18446744073709551616)+18446744073709551616,18446744073709551616) b from x group by 2
order by 1,2;
