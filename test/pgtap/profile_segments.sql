-- profile: the columns are enough for every predefined segment SEG-P01 to
-- SEG-P50: each condition of docs/profile.md runs over view profile p and
-- customer c.
BEGIN;
SELECT plan(52);
INSERT INTO iaros.customer (customer_id, birth_date) VALUES (710001, current_date - 10000), (710002, NULL);
INSERT INTO iaros.booking (customer_id, source, external_id, booked_at, origin, destination, cabin, sales_channel, party_size, departure_at, amount, currency)
VALUES (710001, 'demo', 'seg1', now() - interval '300 days', 'JFK', 'LHR', 'business', 'mobile', 12, now() - interval '260 days', 6000, 'USD'),
    (710001, 'demo', 'seg2', now() - interval '5 days', 'JFK', 'LHR', 'business', 'mobile', 1, now() + interval '40 days', 600, 'USD');
CREATE FUNCTION pg_temp.segment(condition text) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    found bigint[];
BEGIN
    EXECUTE format('SELECT array_agg(p.customer_id ORDER BY p.customer_id) FROM iaros.profile p JOIN iaros.customer c USING (customer_id)
        WHERE p.customer_id IN (710001, 710002) AND (%s)', condition) INTO found;
    RETURN found;
END $$;
SELECT lives_ok($$SELECT pg_temp.segment($c$p.spend_12m > 5000$c$)$$, 'SEG-P01 High-Value Customers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.spend_12m >= (SELECT percentile_disc(0.99) WITHIN GROUP (ORDER BY v.spend_12m) FROM iaros.profile v)$c$)$$, 'SEG-P02 VIP Customers (top 1 %)');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.booking_count = 1$c$)$$, 'SEG-P03 First-Time Bookers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.booking_count >= 2$c$)$$, 'SEG-P04 Repeat Customers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.group_count > 0$c$)$$, 'SEG-P05 Group Bookers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.corporate$c$)$$, 'SEG-P06 Corporate Account Travelers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.last_minute_share > 0.5$c$)$$, 'SEG-P07 Last-Minute Bookers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.early_share > 0.5$c$)$$, 'SEG-P08 Early Planners');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.premium_share = 0 AND p.cabin_top = 'economy'$c$)$$, 'SEG-P09 Price-Sensitive (economy only)');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.premium_share > 0$c$)$$, 'SEG-P10 Premium Seekers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.international_share = 0$c$)$$, 'SEG-P11 Domestic Travelers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.international_share > 0$c$)$$, 'SEG-P12 International Travelers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.intercontinental_share > 0$c$)$$, 'SEG-P13 Transcontinental Travelers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.region_top IN ('Europe', 'Asia', 'Americas')$c$)$$, 'SEG-P14 Regional Travelers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.route_top = 'JFK-LAX'$c$)$$, 'SEG-P15 Specific Route Flyers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.booking_count_12m >= 10$c$)$$, 'SEG-P16 Frequent Flyers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.season_top = 'summer'$c$)$$, 'SEG-P17 Seasonal Travelers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.weekend_share > 0.5$c$)$$, 'SEG-P18 Weekend Travelers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.weekend_share < 0.5$c$)$$, 'SEG-P19 Weekday Travelers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.sales_channel_top = 'mobile'$c$)$$, 'SEG-P20 Mobile Bookers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.sales_channel_top = 'web'$c$)$$, 'SEG-P21 Web Bookers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.sales_channel_top = 'agent'$c$)$$, 'SEG-P22 Agent Bookers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.first_booked_at > now() - interval '30 days'$c$)$$, 'SEG-P23 New Customers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.booking_count_90d >= 2$c$)$$, 'SEG-P24 Active Customers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.last_booked_at <= now() - interval '90 days' AND p.booking_count_180d > 0$c$)$$, 'SEG-P25 At-Risk Customers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.booking_count > 0 AND p.booking_count_180d = 0$c$)$$, 'SEG-P26 Churned Customers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.booking_count_90d > 0 AND p.last_booked_at - p.prev_booked_at >= interval '180 days'$c$)$$, 'SEG-P27 Reactivated Customers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.booking_count >= 2 AND p.booking_count_180d = 0 AND p.booking_count_12m > 0$c$)$$, 'SEG-P28 Win-Back Candidates');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.email_open_30d >= 3$c$)$$, 'SEG-P29 Email Engaged');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.email_opt_in AND p.email_open_90d = 0$c$)$$, 'SEG-P30 Email Disengaged');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.sms_opt_in$c$)$$, 'SEG-P31 SMS Opted-In');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.app_user$c$)$$, 'SEG-P32 App Users');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.is_member$c$)$$, 'SEG-P33 Loyalty Program Members');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.social_follower$c$)$$, 'SEG-P34 Social Media Followers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.seat_count + p.bag_count + p.meal_count > 0$c$)$$, 'SEG-P35 Ancillary Buyers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.upgrade_count > 0$c$)$$, 'SEG-P36 Upgrade Seekers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.bundle_count > 0$c$)$$, 'SEG-P37 Bundle Purchasers');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.booking_count > 0 AND p.ancillary_count = 0$c$)$$, 'SEG-P38 No Ancillary Buyers');
SELECT lives_ok($$SELECT pg_temp.segment($c$iaros.churn_estimate(p.booking_count, p.first_booked_at, p.last_booked_at, now()) > 0.7$c$)$$, 'SEG-P39 High Churn Risk');
SELECT lives_ok($$SELECT pg_temp.segment($c$iaros.churn_estimate(p.booking_count, p.first_booked_at, p.last_booked_at, now()) BETWEEN 0.3 AND 0.7$c$)$$, 'SEG-P40 Medium Churn Risk');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.search_7d + p.cart_abandoned_7d > 0 AND p.session_30d > 1$c$)$$, 'SEG-P41 High Propensity to Buy');
SELECT lives_ok($$SELECT pg_temp.segment($c$EXISTS (SELECT FROM iaros.customer_value_segment v WHERE v.customer_id = p.customer_id AND v.predicted_ltv > 10000)$c$)$$, 'SEG-P42 High LTV Predicted');
SELECT lives_ok($$SELECT pg_temp.segment($c$date_part('month', c.birth_date) = date_part('month', now())$c$)$$, 'SEG-P43 Birthday This Month');
SELECT lives_ok($$SELECT pg_temp.segment($c$date_part('month', p.first_booked_at) = date_part('month', now())$c$)$$, 'SEG-P44 Anniversary This Month');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.cart_abandoned_7d > 0$c$)$$, 'SEG-P45 Abandoned Cart');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.search_30d > 0 AND p.booking_count_30d = 0$c$)$$, 'SEG-P46 Search but No Book');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.complaint_90d > 0$c$)$$, 'SEG-P47 Complained Recently');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.nps_score >= 9$c$)$$, 'SEG-P48 Excellent NPS Score');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.nps_score <= 6$c$)$$, 'SEG-P49 Detractors');
SELECT lives_ok($$SELECT pg_temp.segment($c$p.referral_participant$c$)$$, 'SEG-P50 Referral Program Participants');
SELECT is(pg_temp.segment($$p.spend_12m > 5000 AND p.booking_count >= 2 AND p.group_count > 0 AND p.premium_share > 0 AND p.intercontinental_share > 0
    AND p.sales_channel_top = 'mobile' AND p.last_booked_at - p.prev_booked_at >= interval '180 days'$$), '{710001}', 'who is in several');
SELECT is(pg_temp.segment('p.booking_count > 0 AND p.ancillary_count = 0'), '{710001}', 'who never booked is in none about bookings');
SELECT * FROM finish();
ROLLBACK;
