-- demo: a seeded airline of any size, and the truth that was planted in it.

-- Truth: what is planted --------------------------------------------------

CREATE FUNCTION @extschema@.demo_truth_personas()
    RETURNS TABLE (persona text, share float8, rate_mean float8, rate_shape float8,
        dropout_rate float8, spend_mean float8, spend_shape float8, spend_spread float8,
        lead_mean float8, lead_shape float8, cabins float8[], party float8[],
        channels float8[], business_trips float8, one_way float8, stay_mean float8,
        days text, season float8[], extras float8[], age_mean float8,
        app_share float8, corporate_share float8, member_share float8,
        email_share float8, email_opens float8, nps_mean float8)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 8
BEGIN ATOMIC
    SELECT p.*
    FROM (VALUES
        ('business', 0.055, 38, 3, 0.10, 700, 4, 5, 8, 1.2,
            '{0.18,0.12,0.68,0.02}'::float8[], '{0.95,0.05}'::float8[],
            '{0.18,0.24,0.10,0.03,0.02,0.42,0.01}'::float8[], 0.93, 0.18, 2.5, 'weekday',
            '{1,1.1,1.15,1,1.05,1.05,0.7,0.55,1.2,1.25,1.2,0.75}'::float8[],
            '{0.10,0.22,0.35,0.25,0.02,0.03}'::float8[], 44, 0.80, 0.85, 0.85, 0.75, 9, 7.6),
        ('premium', 0.03, 11, 2.5, 0.08, 1900, 4, 5, 28, 1.5,
            '{0.08,0.20,0.46,0.26}'::float8[], '{0.40,0.52,0.05,0.03}'::float8[],
            '{0.30,0.22,0.24,0.15,0.02,0.05,0.02}'::float8[], 0.35, 0.10, 7, 'any',
            '{0.85,0.85,0.95,1.05,1.05,1.1,1.25,1.25,1,0.95,0.8,0.9}'::float8[],
            '{0.20,0.30,0.25,0.20,0.10,0.06}'::float8[], 53, 0.60, 0.20, 0.90, 0.80, 10, 8.6),
        ('leisure', 0.43, 4.3, 2.2, 0.10, 350, 4, 5, 55, 2,
            '{0.92,0.06,0.02,0}'::float8[], '{0.30,0.56,0.08,0.06}'::float8[],
            '{0.48,0.24,0.20,0.04,0.01,0,0.03}'::float8[], 0.03, 0.08, 8, 'weekend',
            '{0.75,0.75,0.9,1.05,1.05,1.2,1.5,1.5,1,0.85,0.65,0.8}'::float8[],
            '{0.08,0.03,0.05,0.03,0.16,0.01}'::float8[], 45, 0.35, 0.01, 0.35, 0.72, 6, 7.9),
        ('family', 0.14, 4.2, 2.4, 0.10, 1250, 4, 5, 95, 3,
            '{0.95,0.04,0.01,0}'::float8[], '{0,0.04,0.34,0.44,0.13,0.05}'::float8[],
            '{0.52,0.18,0.24,0.04,0.01,0,0.01}'::float8[], 0, 0.03, 11, 'weekend',
            '{0.5,0.85,0.9,1.25,0.85,1.15,1.6,1.6,0.7,1.1,0.5,1}'::float8[],
            '{0.06,0.02,0.04,0.03,0.30,0.01}'::float8[], 41, 0.45, 0.01, 0.45, 0.74, 6, 7.5),
        ('last_minute', 0.095, 9.5, 1.6, 0.13, 210, 4, 5, 2.2, 1.5,
            '{0.93,0.05,0.02,0}'::float8[], '{0.72,0.24,0.03,0.01}'::float8[],
            '{0.36,0.46,0.06,0.05,0.05,0,0.02}'::float8[], 0.15, 0.45, 4, 'any',
            '{0.9,0.9,0.95,1,1,1.1,1.2,1.2,1,1,0.85,0.9}'::float8[],
            '{0.06,0.02,0.08,0.05,0.03,0.02}'::float8[], 31, 0.70, 0.03, 0.30, 0.60, 4, 7.4),
        ('lapsed', 0.17, 12, 1.5, 0, 420, 4, 5, 40, 1.6,
            '{0.86,0.08,0.06,0}'::float8[], '{0.42,0.44,0.08,0.06}'::float8[],
            '{0.46,0.20,0.22,0.06,0.02,0.02,0.02}'::float8[], 0.15, 0.14, 7, 'any',
            '{0.75,0.75,0.9,1.05,1.05,1.2,1.5,1.5,1,0.85,0.65,0.8}'::float8[],
            '{0.07,0.03,0.06,0.03,0.12,0.01}'::float8[], 46, 0.30, 0.03, 0.30, 0.55, 2, 5.6),
        ('new', 0.08, 5, 2, 0.05, 360, 4, 5, 35, 1.6,
            '{0.91,0.06,0.03,0}'::float8[], '{0.46,0.42,0.07,0.05}'::float8[],
            '{0.46,0.38,0.10,0.03,0.01,0,0.02}'::float8[], 0.10, 0.15, 6, 'any',
            '{0.75,0.75,0.9,1.05,1.05,1.2,1.5,1.5,1,0.85,0.65,0.8}'::float8[],
            '{0.07,0.02,0.07,0.03,0.12,0.01}'::float8[], 34, 0.60, 0.03, 0.25, 0.78, 12, 7.8)
    ) AS p;
END;
COMMENT ON FUNCTION @extschema@.demo_truth_personas() IS
'Returns the groups of people that demo_generate() plants, each with what it was drawn from. share: of all people; rate_mean, rate_shape: bookings a year while active, gamma-distributed between people; dropout_rate: of an exponential time until they stop, per year; spend_mean, spend_shape, spend_spread: a booking costs a person''s own mean times a gamma variate of shape spend_shape and mean 1, own means are spend_mean (base currency) times (spend_spread - 1) / a gamma variate of shape spend_spread, at least 40, as in the gamma-gamma model of Fader and Hardie; lead_mean, lead_shape: days from booking to departure, gamma; weights of cabins (economy to first), party (1 to 6 persons), channels (web, mobile, agent, call_center, airport, corporate, api; mobile is web for those without the application, corporate is agent for those without a corporate account); shares of business_trips and one_way; stay_mean in days; days of departure; season: factor by month of departure, mean 1; extras: chance that a booking has legroom, lounge, wifi, fast_track, insurance, upgrade; age_mean; shares of app users, corporate accounts, loyalty members, e-mail consent; email_opens a year; nps_mean. lapsed stopped 190 to 610 days ago, new came in the last 75 days. No table is read.';

CREATE FUNCTION @extschema@.demo_truth_channels()
    RETURNS TABLE (channel text, presence float8, odds_ratio float8, effect float8, kind text, cost_base numeric)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 10
BEGIN ATOMIC
    SELECT c.channel, c.presence::float8, c.odds_ratio::float8,
        round(ln(c.odds_ratio)::numeric, 4)::float8, c.kind, c.cost_base
    FROM (VALUES
        ('email', 0.22, 2.2, 'click', 0.0000),
        ('paid_search', 0.20, 1.8, 'click', 6.2000),
        ('display', 0.22, 1.1, 'impression', 1.6000),
        ('paid_social', 0.14, 1.3, 'click', 3.8000),
        ('affiliate', 0.06, 1.5, 'click', 16.0000),
        ('metasearch', 0.09, 2.0, 'click', 4.1000),
        ('organic_search', 0.18, 1.4, 'visit', NULL),
        ('social', 0.07, 1.0, 'visit', NULL),
        ('referral', 0.03, 2.5, 'visit', NULL),
        ('direct', 0.20, 1.6, 'visit', NULL)
    ) AS c(channel, presence, odds_ratio, kind, cost_base);
END;
COMMENT ON FUNCTION @extschema@.demo_truth_channels() IS
'Returns the marketing channels of the demo. A journey is what one person meets within 72 hours, before a booking on the web or in the application or before none. presence: the chance that a journey without a booking touches the channel, independent of the others (email: of people who consented to it); odds_ratio: by how much a touch multiplies the odds of a booking; effect: its natural logarithm, the coefficient of a logistic regression of booking on touches; kind of the touchpoint; cost_base: mean cost of one touch in the base currency, what was spent on people who stayed unknown included. No table is read.';

CREATE FUNCTION @extschema@.demo_truth_baskets()
    RETURNS TABLE (item_a text, item_b text, together float8, alone_a float8, alone_b float8, support float8, lift float8)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 5
BEGIN ATOMIC
    SELECT p.item_a, p.item_b, p.together, p.alone_a, p.alone_b,
        round((s.a_b)::numeric, 5)::float8, round((s.a_b / (s.a * s.b))::numeric, 3)::float8
    FROM (VALUES
        ('seat', 'priority', 0.100::float8, 0.18::float8, 0.06::float8),
        ('bag', 'meal', 0.080, 0.22, 0.08),
        ('hotel', 'car', 0.035, 0.05, 0.03)
    ) AS p(item_a, item_b, together, alone_a, alone_b)
    CROSS JOIN LATERAL (
        SELECT p.together + (1 - p.together) * p.alone_a * p.alone_b,
            p.together + (1 - p.together) * p.alone_a,
            p.together + (1 - p.together) * p.alone_b
    ) AS s(a_b, a, b);
END;
COMMENT ON FUNCTION @extschema@.demo_truth_baskets() IS
'Returns the pairs of items that sell together in the demo: with chance together a booking has both, else each by itself with chance alone_a and alone_b; support = share of bookings with both, lift = support / (share of a * share of b), over all bookings. The six items of these pairs are otherwise independent, so any other two of them have a lift of 1. No table is read.';

CREATE FUNCTION @extschema@.demo_truth_customers()
    RETURNS TABLE (customer_id bigint, persona text, duplicate_of bigint, joined_on date,
        dropped_out_on date, purchase_rate float8, spend_mean float8, email_consent boolean)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT t.customer_id, t.persona, t.duplicate_of, t.joined_on, t.dropped_out_on,
            t.purchase_rate, t.spend_mean, t.email_consent
        FROM iaros.demo_truth t;
END $$;
COMMENT ON FUNCTION @extschema@.demo_truth_customers() IS
'Returns what is true of each customer that demo_generate() made: the planted group, the customer that is the same person (duplicate_of, NULL for the first record of a person), the day of joining, the day of dropping out (NULL: still active on the demo''s as_of), bookings a year while active, mean spend of a booking in the base currency, and whether the person agreed to marketing by e-mail. A duplicate repeats the facts of its person, whose bookings are spread over both.';

-- Lists -------------------------------------------------------------------

CREATE FUNCTION @extschema@.demo_countries()
    RETURNS TABLE (country text, currency text, language text, dial text, weight float8,
        female text[], male text[], family text[])
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 15
BEGIN ATOMIC
    SELECT c.country, c.currency, c.language, c.dial, c.weight,
        string_to_array(c.female, ' '), string_to_array(c.male, ' '), string_to_array(c.family, ' ')
    FROM (VALUES
        ('US', 'USD', 'en', '+1', 0.26::float8,
            'Mary Emma Olivia Jennifer Linda Ashley Jessica Sarah Karen Emily Madison Abigail Grace Hannah Megan Rachel',
            'James Michael Robert John David William Joseph Daniel Matthew Andrew Joshua Ethan Ryan Kevin Brian Tyler',
            'Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Wilson Anderson Taylor Thomas Moore Jackson Martin Thompson White Harris Clark Lewis Robinson Walker Young Allen King Wright Scott Torres'),
        ('GB', 'GBP', 'en', '+44', 0.12,
            'Olivia Amelia Charlotte Sophie Emily Lucy Rebecca Hannah Chloe Victoria Alice Eleanor Harriet Gemma Fiona Zoe',
            'Oliver George Harry Jack Thomas William Charlie Oscar Henry Simon Stephen Gareth Alistair Callum Rory Edward',
            'Smith Jones Taylor Brown Williams Wilson Johnson Davies Robinson Wright Thompson Evans Walker White Roberts Green Hall Wood Jackson Clarke Patel Khan Hughes Edwards Turner Hill Cooper Ward Morris Campbell'),
        ('DE', 'EUR', 'de', '+49', 0.12,
            'Anna Sabine Petra Julia Katharina Lena Sophie Marie Claudia Susanne Nicole Hannah Lea Monika Ursula Heike',
            'Peter Michael Thomas Andreas Stefan Lukas Maximilian Felix Jonas Markus Christian Jürgen Wolfgang Tobias Sebastian Klaus',
            'Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Schäfer Koch Bauer Richter Klein Wolf Schröder Neumann Schwarz Zimmermann Braun Krüger Hofmann Hartmann Lange Werner Krause Lehmann Köhler Maier'),
        ('FR', 'EUR', 'fr', '+33', 0.08,
            'Marie Camille Léa Chloé Isabelle Nathalie Sylvie Manon Sophie Julie Aurélie Céline Émilie Juliette Inès Hélène',
            'Jean Pierre Nicolas Julien Thomas Louis Hugo Lucas Philippe Alain Laurent Antoine Mathieu Olivier Gabriel Étienne',
            'Martin Bernard Dubois Thomas Robert Richard Petit Durand Leroy Moreau Simon Laurent Lefebvre Michel Garcia David Bertrand Roux Vincent Fournier Morel Girard André Mercier Dupont Lambert Bonnet François Martinez Legrand'),
        ('ES', 'EUR', 'es', '+34', 0.06,
            'María Carmen Lucía Ana Isabel Laura Cristina Marta Elena Paula Sara Pilar Rosa Alba Irene Nuria',
            'Antonio José Manuel Francisco David Javier Daniel Carlos Miguel Alejandro Pablo Sergio Jorge Álvaro Diego Raúl',
            'García Rodríguez González Fernández López Martínez Sánchez Pérez Gómez Martín Jiménez Ruiz Hernández Díaz Moreno Muñoz Álvarez Romero Alonso Gutiérrez Navarro Torres Domínguez Vázquez Ramos Gil Ramírez Serrano Blanco Molina'),
        ('IT', 'EUR', 'it', '+39', 0.05,
            'Giulia Francesca Chiara Anna Maria Sara Martina Elena Valentina Alessia Federica Silvia Paola Laura Giorgia Sofia',
            'Marco Andrea Francesco Alessandro Luca Matteo Giuseppe Giovanni Davide Lorenzo Stefano Roberto Simone Paolo Antonio Federico',
            'Rossi Russo Ferrari Esposito Bianchi Romano Colombo Ricci Marino Greco Bruno Gallo Conti Costa Giordano Mancini Rizzo Lombardi Moretti Barbieri Fontana Santoro Mariani Rinaldi Caruso Ferrara Galli Martini Leone Longo'),
        ('CH', 'CHF', 'de', '+41', 0.03,
            'Anna Laura Sandra Nicole Sarah Barbara Daniela Claudia Monika Ursula Lea Nina Lara Mia Elena Corinne',
            'Daniel Peter Thomas Hans Christian Martin Andreas Michael Marco Stefan Urs Reto Beat Luca Noah Leon',
            'Müller Meier Schmid Keller Weber Huber Schneider Meyer Steiner Fischer Gerber Brunner Baumann Frei Zimmermann Moser Widmer Wyss Graf Roth Baumgartner Suter Bachmann Kunz Bühler Favre Rochat Ammann Egli Hofer'),
        ('JP', 'JPY', 'ja', '+81', 0.06,
            'Yui Sakura Aoi Hina Yuki Haruka Misaki Ayumi Keiko Akiko Naomi Tomoko Emi Kaori Mai Rina',
            'Haruto Sota Yuto Hiroshi Takashi Kenji Daiki Kazuki Ren Takumi Shota Makoto Satoshi Akira Yuta Ryo',
            'Sato Suzuki Takahashi Tanaka Watanabe Ito Yamamoto Nakamura Kobayashi Kato Yoshida Yamada Sasaki Yamaguchi Matsumoto Inoue Kimura Hayashi Shimizu Saito Mori Abe Ikeda Hashimoto Ishikawa Ogawa Okada Hasegawa Fujita Goto'),
        ('KW', 'KWD', 'ar', '+965', 0.01,
            'Fatima Noura Maryam Aisha Sara Dana Hessa Shaikha Lulwa Dalal Munira Latifa Reem Amal Hanan Abeer',
            'Mohammed Ahmad Abdullah Fahad Khaled Yousef Ali Nasser Bader Salem Hamad Saad Talal Jassim Mubarak Faisal',
            'Mutairi Rashidi Enezi Ajmi Shammari Azmi Otaibi Dosari Kandari Harbi Hajri Sabah Ghanim Sayer Kharafi Marzouq Bahar Saleh Fadhli Awadhi Qattan Sarraf Failakawi Rumaihi Mulla Wazzan Khaldi Saeed Jaber Nouri'),
        ('AE', 'AED', 'ar', '+971', 0.03,
            'Fatima Mariam Aisha Noora Salama Hind Shamma Layla Amna Moza Reem Maitha Alia Sheikha Hessa Latifa',
            'Mohammed Ahmed Sultan Khalifa Rashid Saeed Hamdan Majid Omar Abdullah Ali Hassan Zayed Mansoor Saif Yousuf',
            'Maktoum Nahyan Qasimi Nuaimi Mansoori Suwaidi Mazrouei Ketbi Shamsi Zaabi Ameri Dhaheri Marri Falasi Muhairi Hammadi Blooshi Marzooqi Kaabi Tayer Habtoor Ghurair Futtaim Rostamani Mulla Owais Tunaiji Hosani Romaithi Junaibi'),
        ('AU', 'AUD', 'en', '+61', 0.05,
            'Charlotte Olivia Amelia Isla Mia Ava Grace Matilda Ruby Sienna Kylie Nicole Michelle Lauren Georgia Chloe',
            'Oliver Noah Jack William Leo Lucas Thomas Cooper Lachlan Angus Liam Mitchell Shane Brett Craig Hamish',
            'Smith Jones Williams Brown Wilson Taylor Johnson White Martin Anderson Thompson Nguyen Thomas Walker Harris Robinson Kelly King Davis Wright Evans Roberts Green Hall Wood Jackson Clarke Murphy Ryan Campbell'),
        ('CA', 'CAD', 'en', '+1', 0.05,
            'Olivia Emma Charlotte Sophie Chloe Abigail Emily Hannah Avery Claire Jessica Samantha Heather Nathalie Geneviève Amélie',
            'Liam Noah William Benjamin Lucas Logan Jacob Ethan Nathan Ryan Connor Alexandre Gabriel Félix Jordan Kyle',
            'Smith Brown Tremblay Martin Roy Wilson Macdonald Gagnon Johnson Taylor Campbell Anderson Leblanc Singh Côté Williams Miller Thompson Gauthier White Morin Wong Young Bouchard Scott Stewart Pelletier Lavoie Fortin Reid'),
        ('BR', 'BRL', 'pt-BR', '+55', 0.04,
            'Maria Ana Júlia Beatriz Larissa Fernanda Camila Juliana Patrícia Mariana Letícia Gabriela Amanda Bruna Vitória Renata',
            'João Gabriel Lucas Pedro Mateus Rafael Felipe Bruno Gustavo Carlos Paulo Marcos Rodrigo Thiago Eduardo André',
            'Silva Santos Oliveira Souza Rodrigues Ferreira Alves Pereira Lima Gomes Costa Ribeiro Martins Carvalho Almeida Lopes Soares Fernandes Vieira Barbosa Rocha Dias Nascimento Andrade Moreira Nunes Marques Machado Mendes Freitas'),
        ('IN', 'INR', 'en', '+91', 0.03,
            'Priya Ananya Aishwarya Divya Kavya Neha Pooja Shreya Meera Lakshmi Deepika Anjali Sunita Ritu Nisha Radha',
            'Aarav Arjun Rahul Rohan Vikram Amit Sanjay Rajesh Suresh Karthik Nikhil Anil Manoj Deepak Varun Aditya',
            'Sharma Verma Gupta Singh Kumar Patel Reddy Iyer Nair Menon Rao Joshi Mehta Shah Desai Kulkarni Chopra Kapoor Malhotra Banerjee Mukherjee Chatterjee Das Ghosh Pillai Naidu Agarwal Bhat Mishra Pandey'),
        ('SG', 'SGD', 'en', '+65', 0.01,
            'Hui Xin Mei Ling Siti Nurul Priya Jasmine Michelle Serene Cheryl Rachel Vanessa Aisyah Amanda Yvonne',
            'Wei Jun Jie Ming Hao Muhammad Ahmad Rajesh Benjamin Marcus Desmond Adrian Kelvin Darren Jason Gerald',
            'Tan Lim Lee Wong Chan Goh Chua Ong Koh Teo Ang Yeo Tay Low Sim Toh Chong Chen Seah Quek Rahman Ismail Hassan Kumar Nathan Raj Menon Pereira Chew Foo')
    ) AS c(country, currency, language, dial, weight, female, male, family);
END;
COMMENT ON FUNCTION @extschema@.demo_countries() IS
'Returns the home markets of the demo''s airline: country (ISO 3166-1), currency, language, dialling code, weight = share of the people, and common first and family names to draw from. No table is read.';

CREATE FUNCTION @extschema@.demo_airports()
    RETURNS TABLE (airport text, home float8, business float8, leisure float8)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 130
BEGIN ATOMIC
    SELECT a.airport, a.home::float8, a.business::float8, a.leisure::float8
    FROM (VALUES
        -- airport, weight as home, as goal of business and of leisure trips
        ('ATL', 9, 7, 4), ('JFK', 9, 10, 9), ('ORD', 8, 8, 5), ('LAX', 9, 8, 9),
        ('DFW', 7, 6, 3), ('SFO', 6, 8, 7), ('MIA', 5, 4, 8), ('BOS', 5, 5, 4),
        ('SEA', 4, 4, 4), ('DEN', 4, 4, 4), ('IAD', 4, 5, 3), ('PHX', 3, 2, 4),
        ('MCO', 0, 1, 10), ('LAS', 0, 3, 10), ('SAN', 0, 2, 5), ('HNL', 0, 0, 7),
        ('LHR', 10, 12, 10), ('LGW', 5, 1, 2), ('MAN', 4, 3, 2), ('EDI', 2, 2, 4),
        ('DUB', 0, 4, 5),
        ('FRA', 8, 9, 3), ('MUC', 6, 6, 4), ('BER', 5, 4, 6), ('DUS', 4, 3, 1), ('HAM', 3, 3, 2),
        ('CDG', 9, 9, 10), ('ORY', 3, 1, 2), ('NCE', 2, 1, 6), ('LYS', 2, 2, 2),
        ('MAD', 7, 5, 6), ('BCN', 6, 5, 9), ('AGP', 1, 0, 7), ('PMI', 0, 0, 9), ('TFS', 0, 0, 7),
        ('FCO', 7, 4, 9), ('MXP', 6, 5, 3), ('VCE', 1, 1, 6), ('NAP', 1, 1, 5),
        ('ZRH', 7, 6, 3), ('GVA', 4, 4, 3),
        ('AMS', 0, 7, 7), ('BRU', 0, 6, 2), ('VIE', 0, 4, 5), ('CPH', 0, 4, 4), ('ARN', 0, 4, 3),
        ('OSL', 0, 3, 2), ('HEL', 0, 3, 2), ('PRG', 0, 2, 5), ('WAW', 0, 3, 2), ('BUD', 0, 2, 4),
        ('LIS', 0, 3, 8), ('FAO', 0, 0, 6), ('OPO', 0, 1, 4), ('FNC', 0, 0, 3),
        ('ATH', 0, 2, 7), ('HER', 0, 0, 5), ('AYT', 0, 0, 6), ('IST', 0, 5, 7),
        ('HND', 8, 8, 7), ('NRT', 4, 3, 5), ('KIX', 4, 3, 5), ('FUK', 2, 2, 3),
        ('CTS', 1, 1, 4), ('OKA', 0, 0, 6),
        ('KWI', 5, 2, 1), ('DXB', 9, 9, 9), ('AUH', 4, 4, 3), ('DOH', 0, 5, 3),
        ('RUH', 0, 5, 1), ('JED', 0, 3, 4), ('BAH', 0, 3, 1), ('MCT', 0, 1, 2), ('CAI', 0, 2, 4), ('AMM', 0, 2, 2),
        ('SYD', 8, 6, 7), ('MEL', 7, 6, 5), ('BNE', 4, 3, 3), ('PER', 2, 2, 2), ('ADL', 1, 1, 2),
        ('CNS', 0, 0, 4), ('OOL', 0, 0, 5), ('AKL', 0, 2, 4),
        ('YYZ', 8, 6, 5), ('YVR', 5, 4, 5), ('YUL', 4, 4, 4), ('YYC', 2, 3, 3),
        ('GRU', 8, 6, 4), ('GIG', 4, 3, 6), ('BSB', 2, 3, 1), ('SSA', 1, 1, 4), ('REC', 1, 1, 3), ('FLN', 0, 0, 3),
        ('EZE', 0, 3, 4), ('SCL', 0, 3, 3), ('LIM', 0, 2, 4), ('BOG', 0, 3, 2), ('MEX', 0, 5, 4),
        ('CUN', 0, 0, 9), ('PUJ', 0, 0, 6),
        ('DEL', 7, 5, 4), ('BOM', 7, 5, 3), ('BLR', 5, 5, 2), ('MAA', 2, 3, 2), ('HYD', 2, 3, 1), ('GOI', 0, 0, 6), ('COK', 0, 1, 3),
        ('SIN', 8, 9, 7), ('HKG', 0, 8, 6), ('BKK', 0, 5, 9), ('HKT', 0, 0, 7), ('DPS', 0, 0, 9),
        ('KUL', 0, 4, 4), ('CGK', 0, 3, 2), ('MNL', 0, 3, 3), ('ICN', 0, 6, 5), ('TPE', 0, 4, 4), ('PVG', 0, 6, 4), ('PEK', 0, 5, 4),
        ('MLE', 0, 0, 5), ('MRU', 0, 0, 3), ('CPT', 0, 1, 5), ('JNB', 0, 3, 2), ('NBO', 0, 2, 3)
    ) AS a(airport, home, business, leisure);
END;
COMMENT ON FUNCTION @extschema@.demo_airports() IS
'Returns the airports that the demo''s airline serves, with their weights as the home of customers in their country and as the goal of business and of leisure trips. Place, country and time zone are those of table airport. No table is read.';

CREATE FUNCTION @extschema@.demo_items()
    RETURNS TABLE (kind text, price float8, per text, max_share float8)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 12
BEGIN ATOMIC
    SELECT i.kind, i.price::float8, i.per, i.max_share::float8
    FROM (VALUES
        ('seat', 18, 'person', 0.06), ('priority', 12, 'person', 0.04),
        ('bag', 32, 'person', 0.10), ('meal', 14, 'person', 0.05),
        ('hotel', 95, 'night', 0.30), ('car', 42, 'night', 0.15),
        ('legroom', 45, 'person', 0.06), ('lounge', 39, 'person', 0.04),
        ('wifi', 9, 'booking', 0.02), ('fast_track', 11, 'person', 0.03),
        ('insurance', 29, 'person', 0.05), ('upgrade', 160, 'booking', 0.09)
    ) AS i(kind, price, per, max_share);
END;
COMMENT ON FUNCTION @extschema@.demo_items() IS
'Returns what the demo''s airline sells beside the fare: price in US dollars for one person, night or booking, and the largest share of a booking''s amount that it may take. The shares sum to less than 1. No table is read.';

CREATE FUNCTION @extschema@.demo_rate(currency text, day date) RETURNS float8
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    -- Levels at the start of each 30 days, and straight lines between them.
    SELECT c.usd * (1 + c.drift * (
            (1 - t.part) * iaros.chance_normal(t.month, iaros.chance_seed(demo_rate.currency), 0)
            + t.part * iaros.chance_normal(t.month + 1, iaros.chance_seed(demo_rate.currency), 0)))
    FROM (VALUES ('USD', 1.0::float8, 0.0::float8), ('EUR', 1.09, 0.02), ('GBP', 1.27, 0.02),
        ('CHF', 1.13, 0.015), ('JPY', 0.0067, 0.03), ('KWD', 3.25, 0.003), ('AED', 0.2723, 0),
        ('AUD', 0.66, 0.025), ('CAD', 0.73, 0.015), ('BRL', 0.19, 0.04), ('INR', 0.0119, 0.01),
        ('SGD', 0.745, 0.01)) AS c(currency, usd, drift)
    CROSS JOIN (VALUES ((demo_rate.day - DATE '1900-01-01') / 30,
                        (demo_rate.day - DATE '1900-01-01') % 30 / 30.0::float8)) AS t(month, part)
    WHERE c.currency = demo_rate.currency;
END;
COMMENT ON FUNCTION @extschema@.demo_rate(text, date) IS
'Returns the worth of one unit of a currency in US dollars in the world of the demo: a level near the real one that drifts slowly, the same for every seed. NULL for a currency that the demo does not use and for NULL. Constant time.';

CREATE FUNCTION @extschema@.demo_typo(value text, key bigint, seed bigint, draw integer)
    RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE
            WHEN t.mistake = 0 THEN overlay(value PLACING '' FROM t.place FOR 1)
            WHEN t.mistake = 1 AND substr(value, t.place, 1) <> substr(value, t.place + 1, 1)
                THEN overlay(value PLACING substr(value, t.place + 1, 1) || substr(value, t.place, 1)
                             FROM t.place FOR 2)
            ELSE overlay(value PLACING repeat(substr(value, t.place, 1), 2) FROM t.place FOR 1)
        END
    FROM (VALUES (2 + iaros.chance_int(key, seed, draw, greatest(length(value) - 2, 1)),
                  iaros.chance_int(key, seed, draw + 1, 3))) AS t(place, mistake);
END;
COMMENT ON FUNCTION @extschema@.demo_typo(text, bigint, bigint, integer) IS
'Returns a text of three or more characters with one typing error that depends only on the arguments (see chance): a letter left out, two swapped, or one doubled; never the first letter. Uses the draws draw and draw + 1. NULL for a NULL argument.';

-- Steps of demo_generate() ------------------------------------------------
--
-- Each step takes the arguments of demo_generate() and returns the rows it
-- wrote. Keys are computed from row numbers, and every choice is a chance
-- function of (key, seed, draw); a draw serves one purpose only. Bookings
-- have the key person_id * 4096 + their number within the person. OFFSET 0
-- keeps the planner from copying an expression to each place of its use.

CREATE FUNCTION @extschema@.demo_make_rates(customers integer, seed bigint, as_of date)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    base text := iaros.setting_get('base_currency');
    done bigint;
BEGIN
    INSERT INTO iaros.fx_rate (currency, day, rate)
    SELECT c.currency, d::date, iaros.demo_rate_base(c.currency, d::date)
    FROM (SELECT DISTINCT x.currency FROM iaros.demo_countries() x) c
    CROSS JOIN generate_series(as_of - interval '25 months', as_of::timestamp, interval '1 day') AS d
    WHERE c.currency <> base
    ON CONFLICT (currency, day) DO NOTHING;
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END $$;
COMMENT ON FUNCTION @extschema@.demo_make_rates(integer, bigint, date) IS
'Step of demo_generate(): rates of exchange for every day of the 25 months before as_of, where there is none yet. They are the same for every seed.';

CREATE FUNCTION @extschema@.demo_rate_base(currency text, day date) RETURNS numeric
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN round((iaros.demo_rate(currency, day)
        / iaros.demo_rate(iaros.setting_get('base_currency'), day))::numeric, 8);
END $$;
COMMENT ON FUNCTION @extschema@.demo_rate_base(text, date) IS
'Returns the demo''s rate of exchange, as demo_generate() writes it into fx_rate: the worth of one unit of a currency in the base currency on a day. NULL for NULL and for a currency that the demo does not use. Constant time.';

CREATE FUNCTION @extschema@.demo_make_people(customers integer, seed bigint, as_of date)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    window_from date := (as_of - interval '24 months')::date;
    twins integer := customers / 50;
    persons integer := customers - twins;
    stride integer := CASE WHEN twins > 0 THEN persons / twins ELSE 1 END;
    done bigint;
BEGIN
    CREATE TEMP TABLE demo_airport ON COMMIT DROP AS
    SELECT a.airport, a.city, a.country, a.time_zone, a.latitude, a.longitude,
        d.home, d.business, d.leisure
    FROM iaros.demo_airports() d
    JOIN iaros.airport a ON a.airport = d.airport;

    -- Persons 1 to persons; every stride-th or so is stored twice.
    CREATE TEMP TABLE demo_person ON COMMIT DROP AS
    WITH group_of AS MATERIALIZED (
        SELECT p.*, p.ordinality::integer AS no FROM iaros.demo_truth_personas() WITH ORDINALITY AS p
    ), shares AS MATERIALIZED (
        SELECT array_agg(g.share ORDER BY g.no) AS weights FROM group_of g
    ), market AS MATERIALIZED (
        SELECT c.country, c.currency, c.language, c.dial, c.female, c.male, c.family,
            c.ordinality::integer AS no, h.airports, h.weights
        FROM iaros.demo_countries() WITH ORDINALITY AS c
        CROSS JOIN LATERAL (
            SELECT array_agg(a.airport::text ORDER BY a.airport) AS airports,
                array_agg(a.home ORDER BY a.airport) AS weights
            FROM demo_airport a WHERE a.country = c.country AND a.home > 0) h
    ), markets AS MATERIALIZED (
        SELECT array_agg(c.weight ORDER BY c.ordinality) AS weights
        FROM iaros.demo_countries() WITH ORDINALITY AS c
    )
    SELECT d.*,
        greatest(d.joined_on, window_from) AS active_from,
        least(coalesce(d.dropped_out_on, as_of), as_of) AS active_to
    FROM (
        SELECT j.*,
            CASE
                WHEN j.persona = 'lapsed' THEN j.lapsed_on
                WHEN j.dropout_day < as_of THEN j.dropout_day
            END AS dropped_out_on
        FROM (
            SELECT i.*,
                greatest(i.joined_on, window_from)
                    + 1 + least(iaros.chance_exponential(i.person_id, seed, 12, 1 / 365.25)
                                / greatest(i.dropout_rate, 1e-6), 36500)::integer AS dropout_day
            FROM (
                SELECT n.person_id, k.dup_id, g.no AS persona_no, g.persona, g.dropout_rate,
                    m.no AS market_no, m.country, m.currency,
                    m.airports[iaros.chance_pick(n.person_id, seed, 3, m.weights)] AS home,
                    n.lapsed_on,
                    CASE
                        WHEN g.persona = 'lapsed' THEN n.lapsed_on - 60
                            - least(iaros.chance_exponential(n.person_id, seed, 11, 1 / 500.0), 7000)::integer
                        WHEN g.persona = 'new' THEN as_of - 1 - iaros.chance_int(n.person_id, seed, 11, 74)
                        WHEN iaros.chance(n.person_id, seed, 10) < 0.6 THEN window_from - 1
                            - least(iaros.chance_exponential(n.person_id, seed, 11, 1 / 700.0), 7000)::integer
                        ELSE as_of - 76 - iaros.chance_int(n.person_id, seed, 11, (as_of - window_from) - 76)
                    END AS joined_on,
                    iaros.chance_gamma(n.person_id, seed, 13, g.rate_shape, g.rate_mean / g.rate_shape) AS purchase_rate,
                    greatest(g.spend_mean * (g.spend_spread - 1)
                        / iaros.chance_gamma(n.person_id, seed, 14, g.spend_spread, 1), 40) AS spend_mean,
                    iaros.chance(n.person_id, seed, 15) < g.app_share AS app_user,
                    iaros.chance(n.person_id, seed, 16) < g.corporate_share AS corporate,
                    iaros.chance(n.person_id, seed, 17) < g.member_share AS member,
                    iaros.chance(n.person_id, seed, 18) < g.email_share AS email_consent,
                    iaros.chance_gamma(n.person_id, seed, 19, 1.5, g.email_opens / 1.5) AS email_opens,
                    round((o.longitude / 15)::numeric)::integer AS zone_hours,
                    o.city, o.time_zone, o.latitude < 0 AS southern
                FROM (
                    SELECT s.person_id::bigint AS person_id,
                        as_of - 190 - iaros.chance_int(s.person_id, seed, 9, 420) AS lapsed_on,
                        iaros.chance_pick(s.person_id, seed, 1, w.weights) AS persona_no,
                        iaros.chance_pick(s.person_id, seed, 2, v.weights) AS market_no
                    FROM generate_series(1, persons) AS s(person_id)
                    CROSS JOIN shares w CROSS JOIN markets v
                    OFFSET 0
                ) n
                JOIN group_of g ON g.no = n.persona_no
                JOIN market m ON m.no = n.market_no
                LEFT JOIN (
                    SELECT ((k - 1) * stride + 1 + iaros.chance_int(k, seed, 20, stride))::bigint AS person_id,
                        persons + k::bigint AS dup_id
                    FROM generate_series(1, twins) AS k
                ) k ON k.person_id = n.person_id
                JOIN demo_airport o
                    ON o.airport = m.airports[iaros.chance_pick(n.person_id, seed, 3, m.weights)]
                OFFSET 0
            ) i
            OFFSET 0
        ) j
        OFFSET 0
    ) d
    ORDER BY d.person_id;
    GET DIAGNOSTICS done = ROW_COUNT;
    ANALYZE demo_person;
    ANALYZE demo_airport;
    RETURN done;
END $$;
COMMENT ON FUNCTION @extschema@.demo_make_people(integer, bigint, date) IS
'Step of demo_generate(): draws the persons, with what is true of each, into a temporary table. Purchase rates are gamma-distributed, lifetimes exponential (Schmittlein, Morrison and Colombo, Counting Your Customers, 1987).';

CREATE FUNCTION @extschema@.demo_make_customers(customers integer, seed bigint, as_of date)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    AS $$
DECLARE
    done bigint;
BEGIN
    -- One row for each record: the persons, then those stored twice, whose
    -- names, addresses and birthdays carry errors.
    CREATE TEMP TABLE demo_record ON COMMIT DROP AS
    SELECT r.customer_id, r.person_id, r.twin, r.gender,
        CASE WHEN r.twin AND r.error_in <> 1 THEN iaros.demo_typo(r.first_name, r.customer_id, seed, 30)
            ELSE r.first_name END AS first_name,
        CASE WHEN r.twin AND r.error_in >= 1 THEN iaros.demo_typo(r.last_name, r.customer_id, seed, 32)
            ELSE r.last_name END AS last_name,
        CASE WHEN r.twin AND iaros.chance(r.customer_id, seed, 34) < 0.2
            THEN (r.birth_date - interval '1 year')::date ELSE r.birth_date END AS birth_date,
        CASE
            WHEN NOT r.twin OR iaros.chance(r.customer_id, seed, 35) < 0.4 THEN r.mailbox || '@' || r.host
            WHEN iaros.chance(r.customer_id, seed, 35) < 0.7
                THEN iaros.demo_typo(r.mailbox, r.customer_id, seed, 36) || '@' || r.host
            ELSE r.mailbox || '@other.example'
        END AS email,
        CASE WHEN r.twin AND iaros.chance(r.customer_id, seed, 38) < 0.4
            THEN left(r.phone, -1) || iaros.chance_int(r.customer_id, seed, 39, 10)
            ELSE r.phone END AS phone,
        CASE WHEN r.twin THEN least(r.joined_on + 1 + iaros.chance_int(r.customer_id, seed, 40, 400), as_of - 1)
            ELSE r.joined_on END AS joined_on
    FROM (
        SELECT n.*,
            -- Names without accents, as in addresses.
            lower(translate(n.first_name || '.' || n.last_name,
                'äöüéèêëçñãíóáúôøåâàïÁÉÄÖÜ', 'aoueeeecnaioauooaaaiaeaou'))
                || CASE WHEN n.person_id % 10 < 7 THEN n.person_id::text ELSE '.' || n.person_id END AS mailbox,
            (ARRAY['mail.example', 'post.example', 'web.example', 'office.example'])[
                CASE WHEN n.corporate AND iaros.chance(n.person_id, seed, 27) < 0.6 THEN 4
                    ELSE 1 + iaros.chance_int(n.person_id, seed, 28, 3) END] AS host,
            n.dial || '555' || lpad((n.person_id % 10000000)::text, 7, '0') AS phone,
            iaros.chance_int(n.customer_id, seed, 29, 3) AS error_in
        FROM (
            SELECT p.person_id, t.twin, p.joined_on, p.corporate, c.dial,
                CASE WHEN t.twin THEN p.dup_id ELSE p.person_id END AS customer_id,
                CASE WHEN u.gender < 0.49 THEN 'female' WHEN u.gender < 0.98 THEN 'male' ELSE 'other' END AS gender,
                CASE WHEN u.gender < 0.49 OR u.gender >= 0.99
                    THEN c.female[1 + floor(u.first * cardinality(c.female))::integer]
                    ELSE c.male[1 + floor(u.first * cardinality(c.male))::integer] END AS first_name,
                c.family[1 + floor(u.last * cardinality(c.family))::integer] AS last_name,
                as_of - (365.25 * least(greatest(g.age_mean
                    + 11 * iaros.chance_normal(p.person_id, seed, 25), 18), 88))::integer
                    - iaros.chance_int(p.person_id, seed, 26, 365) AS birth_date
            FROM demo_person p
            JOIN iaros.demo_countries() WITH ORDINALITY AS c ON c.ordinality = p.market_no
            JOIN iaros.demo_truth_personas() WITH ORDINALITY AS g ON g.ordinality = p.persona_no
            CROSS JOIN (VALUES (false), (true)) AS t(twin)
            CROSS JOIN LATERAL (VALUES (iaros.chance(p.person_id, seed, 22),
                iaros.chance(p.person_id, seed, 23) * (0.4 + 0.6 * iaros.chance(p.person_id, seed, 23)),
                iaros.chance(p.person_id, seed, 24) * (0.4 + 0.6 * iaros.chance(p.person_id, seed, 24)))
                ) AS u(gender, first, last)
            WHERE NOT t.twin OR p.dup_id IS NOT NULL
            OFFSET 0
        ) n
        OFFSET 0
    ) r
    ORDER BY 1;
    ANALYZE demo_record;

    INSERT INTO iaros.customer (customer_id, source, first_name, last_name, birth_date, gender,
        country, nationality, city, language, time_zone, home_airport, created_at, updated_at)
    SELECT r.customer_id, 'demo', r.first_name, r.last_name, r.birth_date, r.gender,
        p.country, p.country, p.city, c.language, p.time_zone, p.home, r.joined_on, r.joined_on
    FROM demo_record r
    JOIN demo_person p ON p.person_id = r.person_id
    JOIN iaros.demo_countries() WITH ORDINALITY AS c ON c.ordinality = p.market_no
    ORDER BY r.customer_id;
    GET DIAGNOSTICS done = ROW_COUNT;
    INSERT INTO iaros.customer_key (source, external_id, customer_id)
    SELECT 'demo', 'C' || lpad(r.customer_id::text, 8, '0'), r.customer_id
    FROM demo_record r ORDER BY r.customer_id;
    INSERT INTO iaros.demo_truth (customer_id, persona, duplicate_of, joined_on, dropped_out_on,
        purchase_rate, spend_mean, email_consent)
    SELECT r.customer_id, p.persona, CASE WHEN r.twin THEN r.person_id END, p.joined_on,
        p.dropped_out_on, p.purchase_rate, p.spend_mean, p.email_consent
    FROM demo_record r JOIN demo_person p ON p.person_id = r.person_id
    ORDER BY r.customer_id;
    RETURN done;
END $$;
COMMENT ON FUNCTION @extschema@.demo_make_customers(integer, bigint, date) IS
'Step of demo_generate(): customers, their natural keys and what is true of them. Mail addresses end in .example (RFC 2606), phone numbers are made up.';

CREATE FUNCTION @extschema@.demo_make_attributes(customers integer, seed bigint, as_of date)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    AS $$
DECLARE
    done bigint;
    total bigint;
BEGIN
    INSERT INTO iaros.customer_identifier (customer_id, kind, value, is_primary, verified_at, source, created_at)
    SELECT r.customer_id, i.kind, iaros.identifier_normal(i.kind, i.value), true,
        CASE WHEN iaros.chance(r.customer_id, seed, i.draw) < 0.8 THEN r.joined_on::timestamptz END,
        'demo', r.joined_on
    FROM demo_record r
    JOIN demo_person p ON p.person_id = r.person_id
    CROSS JOIN LATERAL (VALUES
        ('email', r.email, true, 41), ('phone', r.phone, iaros.chance(r.customer_id, seed, 45) < 0.85, 42),
        ('device', md5(format('%s %s', r.customer_id, seed)), p.app_user AND NOT r.twin, 43),
        ('frequent_flyer', 'FF' || lpad(r.customer_id::text, 9, '0'), p.member AND NOT r.twin, 44)
    ) AS i(kind, value, has, draw)
    WHERE i.has;
    GET DIAGNOSTICS total = ROW_COUNT;

    INSERT INTO iaros.customer_trait (customer_id, trait, source, updated_at)
    SELECT p.person_id, t.trait, 'demo', p.joined_on
    FROM demo_person p
    CROSS JOIN LATERAL (VALUES
        ('app_user', p.app_user), ('corporate_account', p.corporate),
        ('referral_participant', iaros.chance(p.person_id, seed, 46) < CASE WHEN p.member THEN 0.12 ELSE 0.02 END),
        ('social_follower', iaros.chance(p.person_id, seed, 47) < CASE WHEN p.app_user THEN 0.25 ELSE 0.08 END)
    ) AS t(trait, has)
    WHERE t.has;
    GET DIAGNOSTICS done = ROW_COUNT;
    total := total + done;

    -- What was said on joining, and what was taken back later.
    INSERT INTO iaros.consent (customer_id, consent_id, channel, purpose, given, source, evidence, recorded_at, received_at)
    SELECT s.customer_id, row_number() OVER (ORDER BY s.customer_id, s.slot, s.given DESC),
        s.channel, s.purpose, s.given, CASE WHEN s.given THEN 'web form' ELSE 'preference centre' END,
        '{"version": 3}', s.at, s.at
    FROM (
        SELECT r.customer_id, c.slot, c.channel, c.purpose, w.given,
            CASE WHEN w.given THEN r.joined_on::timestamptz
                ELSE r.joined_on + (as_of::timestamptz - r.joined_on)
                    * iaros.chance(r.customer_id, seed, 60 + c.slot) END AS at
        FROM demo_record r
        JOIN demo_person p ON p.person_id = r.person_id
        CROSS JOIN LATERAL (VALUES
            (1, 'email', 'marketing', p.email_consent, 0.0),
            (2, 'sms', 'marketing', iaros.chance(r.person_id, seed, 50) < 0.35, 0.06),
            (3, 'push', 'marketing', p.app_user AND iaros.chance(r.person_id, seed, 51) < 0.6, 0.10),
            (4, 'post', 'marketing', iaros.chance(r.person_id, seed, 52) < 0.15, 0.02),
            (5, 'call', 'marketing', iaros.chance(r.person_id, seed, 53) < 0.08, 0.05),
            (6, 'in_app', 'marketing', p.app_user, 0.02),
            (7, 'all', 'personalisation', iaros.chance(r.person_id, seed, 54) < 0.7, 0.03),
            (8, 'all', 'analytics', iaros.chance(r.person_id, seed, 55) < 0.8, 0.02)
        ) AS c(slot, channel, purpose, agreed, withdrawn)
        CROSS JOIN (VALUES (true), (false)) AS w(given)
        WHERE c.agreed AND (w.given OR iaros.chance(r.customer_id, seed, 70 + c.slot) < c.withdrawn)
    ) s;
    GET DIAGNOSTICS done = ROW_COUNT;
    total := total + done;

    INSERT INTO iaros.dnc (customer_id, dnc_id, channel, reason, added_at)
    SELECT s.customer_id, row_number() OVER (ORDER BY s.customer_id), s.channel, s.reason, s.at
    FROM (
        SELECT r.customer_id, CASE WHEN u.lot < 0.9 THEN 'email' ELSE 'all' END AS channel,
            CASE WHEN u.lot < 0.5 THEN 'hard_bounce' WHEN u.lot < 0.8 THEN 'unsubscribe'
                WHEN u.lot < 0.9 THEN 'spam_complaint' ELSE 'customer_request' END AS reason,
            r.joined_on + (as_of::timestamptz - r.joined_on) * iaros.chance(r.customer_id, seed, 82) AS at
        FROM demo_record r
        CROSS JOIN LATERAL (VALUES (iaros.chance(r.customer_id, seed, 81))) AS u(lot)
        WHERE iaros.chance(r.customer_id, seed, 80) < 0.012
    ) s;
    GET DIAGNOSTICS done = ROW_COUNT;
    total := total + done;

    INSERT INTO iaros.preference (customer_id, channel, topic, excluded, updated_at)
    SELECT r.customer_id, 'all', t.topic, true,
        r.joined_on + (as_of::timestamptz - r.joined_on) * iaros.chance(r.customer_id, seed, 86)
    FROM demo_record r
    CROSS JOIN (VALUES (1, 'surveys', 0.05), (2, 'new-routes', 0.02), (3, 'newsletters', 0.04)) AS t(no, topic, share)
    WHERE iaros.chance(r.customer_id, seed, 82 + t.no) < t.share;
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN total + done;
END $$;
COMMENT ON FUNCTION @extschema@.demo_make_attributes(integer, bigint, date) IS
'Step of demo_generate(): identifiers, traits, consents given and withdrawn, entries of the do-not-contact list, topics that are not wanted.';

CREATE FUNCTION @extschema@.demo_make_routes() RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    done bigint;
BEGIN
    CREATE TEMP TABLE demo_route ON COMMIT DROP AS
    WITH pair AS (
        SELECT p.home, p.airport, b.band, t.trip,
            CASE WHEN t.trip = 1 THEN p.business ELSE p.leisure END
                * CASE WHEN p.domestic THEN 2 ELSE 1 END AS weight,
            p.haul = b.band AS fits
        FROM (
            SELECT o.airport AS home, d.airport, d.business, d.leisure, o.country = d.country AS domestic,
                iaros.haul(iaros.distance_km(o.latitude, o.longitude, d.latitude, d.longitude)) AS haul
            FROM demo_airport o
            JOIN demo_airport d ON d.airport <> o.airport AND d.city <> o.city
            WHERE o.home > 0
            OFFSET 0
        ) p
        CROSS JOIN (VALUES ('short'), ('medium'), ('long')) AS b(band)
        CROSS JOIN (VALUES (1), (2)) AS t(trip)
    ), usable AS (
        -- A hub without a goal of a length takes all of its goals instead.
        SELECT p.*, sum(p.weight) FILTER (WHERE p.fits) OVER (PARTITION BY p.home, p.band, p.trip) AS in_band
        FROM pair p
    )
    SELECT u.home::text AS home, u.band, u.trip,
        array_agg(u.airport::text ORDER BY u.airport) AS airports,
        array_agg(u.weight ORDER BY u.airport) AS weights
    FROM usable u
    WHERE u.weight > 0 AND (u.fits OR coalesce(u.in_band, 0) = 0)
    GROUP BY u.home, u.band, u.trip;
    GET DIAGNOSTICS done = ROW_COUNT;
    ANALYZE demo_route;
    RETURN done;
END $$;
COMMENT ON FUNCTION @extschema@.demo_make_routes() IS
'For demo_make_trips(): the goals of each home airport by length of flight and kind of trip, with their weights.';

CREATE FUNCTION @extschema@.demo_make_trips(customers integer, seed bigint, as_of date)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    AS $$
DECLARE
    base text := iaros.setting_get('base_currency');
    window_from date := (as_of - interval '24 months')::date;
    season_max CONSTANT float8 := 1.6;
    done bigint;
BEGIN
    PERFORM iaros.demo_make_routes();
    CREATE TEMP TABLE demo_group ON COMMIT DROP AS
    SELECT p.*, p.ordinality::integer AS no FROM iaros.demo_truth_personas() WITH ORDINALITY AS p;

    -- Days of booking and departure. A Poisson process of the person's rate,
    -- thinned by the season of departure; who joined in the window starts
    -- with one booking.
    CREATE TEMP TABLE demo_draft ON COMMIT DROP AS
    SELECT d.*
    FROM (
        SELECT c.key, c.person_id, c.k, c.persona_no, c.days, c.day,
            CASE
                WHEN c.days = 'weekday' AND date_part('isodow', c.dep) > 4 AND c.lot < 0.9
                    THEN c.dep + 8 - date_part('isodow', c.dep)::integer
                WHEN c.days = 'weekend' AND date_part('isodow', c.dep) < 5 AND c.lot < 0.6
                    THEN c.dep + 5 - date_part('isodow', c.dep)::integer + (c.lot * 5)::integer
                ELSE c.dep
            END AS dep_day,
            c.season, c.southern
        FROM (
            SELECT a.*, a.day + a.lead AS dep, iaros.chance(a.key, seed, 102) AS lot
            FROM (
                SELECT p.person_id, k.k, p.person_id * 4096 + k.k AS key, p.persona_no, g.days, g.season,
                    p.southern AND NOT g.days = 'weekday' AS southern,
                    CASE WHEN k.k = 0 THEN p.active_from
                        ELSE p.active_from + iaros.chance_int(p.person_id * 4096 + k.k, seed, 100, p.active_to - p.active_from)
                    END AS day,
                    least(iaros.chance_gamma(p.person_id * 4096 + k.k, seed, 101, g.lead_shape, g.lead_mean / g.lead_shape), 330)::integer AS lead
                FROM demo_person p
                JOIN demo_group g ON g.no = p.persona_no
                CROSS JOIN LATERAL generate_series(
                    CASE WHEN p.joined_on >= window_from THEN 0 ELSE 1 END,
                    least(iaros.chance_poisson(p.person_id, seed, 99,
                        p.purchase_rate * season_max * (p.active_to - p.active_from) / 365.25), 4000)) AS k(k)
                WHERE p.active_to > p.active_from
                OFFSET 0
            ) a
            OFFSET 0
        ) c
        OFFSET 0
    ) d
    WHERE d.k = 0
       OR iaros.chance(d.key, seed, 103) * season_max < d.season[
            (date_part('month', d.dep_day)::integer - 1 + CASE WHEN d.southern THEN 6 ELSE 0 END) % 12 + 1];
    ANALYZE demo_draft;

    CREATE TEMP TABLE demo_trip ON COMMIT DROP AS
    SELECT row_number() OVER (ORDER BY m.booked_at, m.key) AS booking_id, m.*
    FROM (
        SELECT l.key, l.person_id, l.customer_id, l.persona_no, l.booked_at, l.home AS origin, l.destination,
            l.cabin, l.party, l.stay, l.one_way, l.channel, l.currency,
            l.departure_at,
            CASE WHEN NOT l.one_way THEN greatest(l.departure_at + interval '6 hours',
                (l.dep_day + l.stay + l.clock) AT TIME ZONE z.time_zone) END AS return_at,
            CASE
                WHEN l.lot < 0.035 THEN 'cancelled'
                WHEN l.lot < 0.055 THEN 'refunded'
                WHEN l.departure_at < as_of::timestamptz THEN CASE WHEN l.lot < 0.08 THEN 'no_show' ELSE 'flown' END
                WHEN l.lot < 0.10 AND l.booked_at > as_of - interval '3 days' THEN 'held'
                WHEN l.lot < 0.12 THEN 'confirmed'
                ELSE 'ticketed'
            END::iaros.booking_status AS status,
            iaros.money_round((l.raw / coalesce(x.rate, 1)::float8)::numeric, l.currency) AS amount,
            coalesce(x.rate, 1) AS rate
        FROM (
            SELECT b.*,
                r.airports[iaros.chance_pick(
                    CASE WHEN iaros.chance(b.key, seed, 118) < 0.5 THEN -b.person_id ELSE b.key END,
                    seed, 119, r.weights)] AS destination,
                -- Days are local, so one that is today may be over.
                ((b.dep_day + b.clock) AT TIME ZONE b.time_zone)
                    + CASE WHEN (b.dep_day + b.clock) AT TIME ZONE b.time_zone < b.booked_at + interval '2 hours'
                        THEN interval '2 days' ELSE interval '0' END AS departure_at,
                iaros.chance(b.key, seed, 120) AS lot
            FROM (
                SELECT e.*,
                    -- The fare per head in economy, both ways, tells how far.
                    CASE
                        WHEN e.fare < 130 THEN 'short' WHEN e.fare < 330 THEN 'medium' ELSE 'long'
                    END AS band,
                    greatest(e.stay_drawn, CASE WHEN e.fare < 130 THEN 1 ELSE 2 END) AS stay
                FROM (
                    SELECT c.*,
                        c.raw / (c.party * (ARRAY[1, 1.5, 2.6, 4.5])[c.cabin_no]
                            * CASE WHEN c.one_way THEN 0.6 ELSE 1 END) AS fare
                    FROM (
                        SELECT d.key, d.person_id, d.persona_no, d.dep_day, p.home, p.currency, p.time_zone,
                            CASE WHEN p.dup_id IS NOT NULL AND iaros.chance(d.key, seed, 104) < 0.35
                                THEN p.dup_id ELSE p.person_id END AS customer_id,
                            -- Booked in the waking hours of the place.
                            (d.day + make_interval(secs => (((7 + iaros.chance_int(d.key, seed, 105, 16)
                                - p.zone_hours + 24) % 24) * 3600 + iaros.chance_int(d.key, seed, 106, 3600))))::timestamptz AS booked_at,
                            iaros.chance_pick(d.key, seed, 107, g.cabins) AS cabin_no,
                            (enum_range(NULL::iaros.cabin))[iaros.chance_pick(d.key, seed, 107, g.cabins)] AS cabin,
                            iaros.chance_pick(d.key, seed, 108, g.party) AS party,
                            iaros.chance(d.key, seed, 109) < g.one_way AS one_way,
                            least(1 + iaros.chance_gamma(d.key, seed, 110, 2, g.stay_mean / 2), 60)::integer AS stay_drawn,
                            CASE WHEN iaros.chance(d.key, seed, 111) < g.business_trips THEN 1 ELSE 2 END AS trip,
                            CASE iaros.chance_pick(d.key, seed, 112, g.channels)
                                WHEN 2 THEN CASE WHEN p.app_user THEN 'mobile' ELSE 'web' END
                                WHEN 6 THEN CASE WHEN p.corporate THEN 'corporate' ELSE 'agent' END
                                WHEN 1 THEN 'web' WHEN 3 THEN 'agent' WHEN 4 THEN 'call_center'
                                WHEN 5 THEN 'airport' ELSE 'api' END AS channel,
                            greatest(p.spend_mean * iaros.chance_gamma(d.key, seed, 113, g.spend_shape, 1 / g.spend_shape), 15) AS raw,
                            d.day,
                            make_interval(mins => 360 + 5 * iaros.chance_int(d.key, seed, 114, 185)) AS clock
                        FROM demo_draft d
                        JOIN demo_person p ON p.person_id = d.person_id
                        JOIN demo_group g ON g.no = d.persona_no
                        OFFSET 0
                    ) c
                    OFFSET 0
                ) e
                OFFSET 0
            ) b
            JOIN demo_route r ON r.home = b.home AND r.band = b.band AND r.trip = b.trip
            OFFSET 0
        ) l
        JOIN demo_airport z ON z.airport = l.destination
        LEFT JOIN iaros.fx_rate x ON x.currency = l.currency AND x.day = (l.booked_at)::date
            AND l.currency <> base
        OFFSET 0
    ) m;
    GET DIAGNOSTICS done = ROW_COUNT;
    ANALYZE demo_trip;
    DROP TABLE demo_draft;
    RETURN done;
END $$;
COMMENT ON FUNCTION @extschema@.demo_make_trips(integer, bigint, date) IS
'Step of demo_generate(): draws the bookings, in the order of their time, into a temporary table.';

CREATE FUNCTION @extschema@.demo_make_bookings(customers integer, seed bigint, as_of date)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    base text := iaros.setting_get('base_currency');
    done bigint;
BEGIN
    -- amount_base is what fx_convert() gives, from the same rates.
    INSERT INTO iaros.booking (customer_id, booking_id, source, external_id, booked_at, status,
        origin, destination, cabin, fare_class, sales_channel, party_size, departure_at, return_at,
        amount, currency, amount_base)
    SELECT t.customer_id, t.booking_id, 'demo', 'B' || lpad(t.booking_id::text, 9, '0'), t.booked_at, t.status,
        t.origin, t.destination, t.cabin,
        CASE t.cabin
            WHEN 'economy' THEN substr('YBMHKQV', 1 + iaros.chance_int(t.key, seed, 130, 7), 1)
            WHEN 'premium_economy' THEN substr('WE', 1 + iaros.chance_int(t.key, seed, 130, 2), 1)
            WHEN 'business' THEN substr('JCDZ', 1 + iaros.chance_int(t.key, seed, 130, 4), 1)
            ELSE substr('FA', 1 + iaros.chance_int(t.key, seed, 130, 2), 1)
        END,
        t.channel, t.party, t.departure_at, t.return_at,
        t.amount, t.currency, iaros.money_round(t.amount * t.rate, base)
    FROM demo_trip t
    ORDER BY t.customer_id, t.booking_id;
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END $$;
COMMENT ON FUNCTION @extschema@.demo_make_bookings(integer, bigint, date) IS
'Step of demo_generate(): writes the bookings.';

CREATE FUNCTION @extschema@.demo_make_items(customers integer, seed bigint, as_of date)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    done bigint;
    usd float8 := iaros.demo_rate(iaros.setting_get('base_currency'), as_of);
BEGIN
    INSERT INTO iaros.booking_item (customer_id, booking_id, line_no, kind, quantity, unit_price, amount, currency)
    SELECT s.customer_id, s.booking_id,
        row_number() OVER (PARTITION BY s.customer_id, s.booking_id ORDER BY s.slot),
        s.kind, s.quantity, round(s.amount / s.quantity, 4), s.amount, s.currency
    FROM (
        SELECT c.*, iaros.money_round(least(c.price * c.quantity * (0.8 + 0.4 * iaros.chance(c.key, seed, 150 + c.slot))
                / (usd * c.rate), c.max_share * c.total)::numeric, c.currency) AS amount
        FROM (
            SELECT t.customer_id, t.booking_id, t.key, w.slot, i.kind, i.price, i.max_share,
                t.currency, t.amount::float8 AS total, t.rate::float8 AS rate,
                CASE i.per WHEN 'person' THEN t.party WHEN 'night' THEN t.stay ELSE 1 END AS quantity
            FROM demo_trip t
            JOIN (
                SELECT g.ordinality AS no, e.slot::integer AS slot, e.kind, e.chance
                FROM iaros.demo_truth_personas() WITH ORDINALITY AS g
                CROSS JOIN LATERAL unnest(g.extras,
                    ARRAY['legroom', 'lounge', 'wifi', 'fast_track', 'insurance', 'upgrade'])
                    WITH ORDINALITY AS e(chance, kind, slot)
            ) w ON w.no = t.persona_no AND iaros.chance(t.key, seed, 140 + w.slot) < w.chance
            JOIN iaros.demo_items() i ON i.kind = w.kind
            UNION ALL
            SELECT t.customer_id, t.booking_id, t.key, 6 + w.slot, i.kind, i.price, i.max_share,
                t.currency, t.amount::float8, t.rate::float8,
                CASE i.per WHEN 'person' THEN t.party WHEN 'night' THEN t.stay ELSE 1 END
            FROM demo_trip t
            JOIN (
                SELECT p.together, p.ordinality::integer AS pair, 2 * p.ordinality::integer - 2 + x.side AS slot, x.kind, x.alone
                FROM iaros.demo_truth_baskets() WITH ORDINALITY AS p
                CROSS JOIN LATERAL (VALUES (1, p.item_a, p.alone_a), (2, p.item_b, p.alone_b)) AS x(side, kind, alone)
            ) w ON iaros.chance(t.key, seed, 160 + w.pair) < w.together
                OR iaros.chance(t.key, seed, 170 + w.slot) < w.alone
            JOIN iaros.demo_items() i ON i.kind = w.kind
        ) c(customer_id, booking_id, key, slot, kind, price, max_share, currency, total, rate, quantity)
        OFFSET 0
    ) s
    WHERE s.amount > 0;
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END $$;
COMMENT ON FUNCTION @extschema@.demo_make_items(integer, bigint, date) IS
'Step of demo_generate(): what was sold with the bookings; pairs sell together as demo_truth_baskets() says.';

CREATE FUNCTION @extschema@.demo_make_booking_events(customers integer, seed bigint, as_of date)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    AS $$
DECLARE
    done bigint;
    bookings bigint := (SELECT count(*) FROM demo_trip);
    nps float8[] := ARRAY(SELECT g.nps_mean FROM iaros.demo_truth_personas() WITH ORDINALITY AS g ORDER BY g.ordinality);
    until timestamptz := as_of;
BEGIN
    INSERT INTO iaros.event (customer_id, event_id, kind, occurred_at, received_at, source, session_id, properties)
    SELECT e.customer_id, (e.slot - 1) * bookings + e.booking_id, e.kind, e.at, e.at + interval '2 seconds', 'demo',
        CASE WHEN e.online AND e.slot <= 5 THEN 'b' || e.booking_id END,
        CASE e.kind
            WHEN 'search' THEN jsonb_build_object('origin', e.origin, 'destination', e.destination,
                'departure', e.departure_at::date)
            WHEN 'page_view' THEN '{"page": "fares"}'
            WHEN 'complaint' THEN CASE WHEN e.lot < 0.5 THEN '{"topic": "delay"}'
                WHEN e.lot < 0.8 THEN '{"topic": "baggage"}' ELSE '{"topic": "service"}' END::jsonb
            WHEN 'nps_response' THEN jsonb_build_object('score', greatest(0, least(10,
                round(nps[e.persona_no] + 2 * iaros.chance_normal(e.key, seed, 195))))::integer)
            ELSE jsonb_build_object('booking_id', e.booking_id)
        END
    FROM (
        SELECT t.*, w.slot, w.kind, t.channel IN ('web', 'mobile') AS online,
            iaros.chance(t.key, seed, 190) AS lot,
            date_trunc('second', CASE w.slot
                WHEN 1 THEN t.booked_at - make_interval(secs => 1800
                    + least(iaros.chance_exponential(t.key, seed, 191, 1 / 150000.0), 1700000))
                WHEN 2 THEN t.booked_at - make_interval(secs => 900 + iaros.chance_int(t.key, seed, 192, 800))
                WHEN 3 THEN t.booked_at - make_interval(secs => 400 + iaros.chance_int(t.key, seed, 192, 500))
                WHEN 4 THEN t.booked_at - make_interval(secs => 60 + iaros.chance_int(t.key, seed, 192, 300))
                WHEN 5 THEN t.booked_at
                WHEN 6 THEN t.departure_at - make_interval(secs => 5400 + iaros.chance_int(t.key, seed, 193, 80000))
                WHEN 7 THEN t.booked_at + (least(t.departure_at, until) - t.booked_at) * iaros.chance(t.key, seed, 194)
                ELSE coalesce(t.return_at, t.departure_at)
                    + make_interval(secs => 20000 + iaros.chance_int(t.key, seed, 196 + w.slot, 600000))
            END) AS at
        FROM demo_trip t
        JOIN (VALUES (1, 'search'), (2, 'search'), (3, 'page_view'), (4, 'cart_add'),
            (5, 'booking_completed'), (6, 'check_in'), (7, 'booking_cancelled'),
            (8, 'complaint'), (9, 'nps_response')) AS w(slot, kind)
            ON CASE w.slot
                WHEN 5 THEN true
                WHEN 6 THEN t.status = 'flown' AND iaros.chance(t.key, seed, 186) < 0.8
                WHEN 7 THEN t.status IN ('cancelled', 'refunded')
                WHEN 8 THEN t.status IN ('flown', 'no_show') AND iaros.chance(t.key, seed, 188) < 0.014
                WHEN 9 THEN t.status = 'flown' AND iaros.chance(t.key, seed, 189) < 0.07
                WHEN 1 THEN iaros.chance(t.key, seed, 181) < CASE WHEN t.channel IN ('web', 'mobile') THEN 0.95 ELSE 0.25 END
                ELSE t.channel IN ('web', 'mobile')
                    AND iaros.chance(t.key, seed, 180 + w.slot) < (ARRAY[0, 0.25, 0.7, 0.8])[w.slot]
            END
        OFFSET 0
    ) e
    WHERE e.at < until;
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END $$;
COMMENT ON FUNCTION @extschema@.demo_make_booking_events(integer, bigint, date) IS
'Step of demo_generate(): events around bookings, from the first search to the answer to "would you recommend us".';

CREATE FUNCTION @extschema@.demo_make_visits(customers integer, seed bigint, as_of date)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    AS $$
DECLARE
    done bigint;
BEGIN
    -- What people do without booking; first_key makes the keys dense.
    CREATE TEMP TABLE demo_visit ON COMMIT DROP AS
    SELECT f.person_id, f.stream, f.customer_id, f.home, f.email_consent,
        f.first_key + k.k AS key,
        f.active_from + iaros.chance_int(f.first_key + k.k, seed, 201, f.active_to - f.active_from)
            + make_interval(hours => (7 + iaros.chance_int(f.first_key + k.k, seed, 202, 16) - f.zone_hours + 24) % 24,
                secs => iaros.chance_int(f.first_key + k.k, seed, 203, 3600))
            AS at
    FROM (
        SELECT n.*, (sum(n.n) OVER (ORDER BY n.stream, n.person_id) - n.n)::bigint AS first_key
        FROM (
            SELECT p.person_id, s.stream, p.home, p.email_consent, p.active_from, p.active_to, p.zone_hours,
                CASE WHEN p.dup_id IS NOT NULL AND iaros.chance(p.person_id, seed, 210 + s.stream) < 0.35
                    THEN p.dup_id ELSE p.person_id END AS customer_id,
                iaros.chance_poisson(p.person_id, seed, 220 + s.stream,
                    s.rate * (p.active_to - p.active_from) / 365.25)::bigint AS n
            FROM demo_person p
            CROSS JOIN LATERAL (VALUES
                (1, CASE WHEN p.app_user THEN 3 + 0.6 * least(p.purchase_rate, 40) ELSE 0 END),
                (2, 1.5), (3, CASE WHEN p.email_consent THEN p.email_opens ELSE 0 END),
                (4, 1.5), (5, 0.7), (6, CASE WHEN p.member THEN 0.05 ELSE 0.01 END),
                (7, 2.2 + 0.15 * least(p.purchase_rate, 20))
            ) AS s(stream, rate)
            WHERE p.active_to > p.active_from
            OFFSET 0
        ) n
        OFFSET 0
    ) f
    CROSS JOIN LATERAL generate_series(1, f.n) AS k(k);
    GET DIAGNOSTICS done = ROW_COUNT;
    ANALYZE demo_visit;
    RETURN done;
END $$;
COMMENT ON FUNCTION @extschema@.demo_make_visits(integer, bigint, date) IS
'Step of demo_generate(): draws what people do without booking (1 application, 2 login, 3 e-mail, 4 search, 5 cart, 6 recommendation, 7 journey that ends without a booking) into a temporary table.';

CREATE FUNCTION @extschema@.demo_make_visit_events(customers integer, seed bigint, as_of date)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    AS $$
DECLARE
    done bigint;
    first_id bigint := 9 * (SELECT count(*) FROM demo_trip);
BEGIN
    INSERT INTO iaros.event (customer_id, event_id, kind, occurred_at, received_at, source, session_id, properties)
    SELECT v.customer_id, first_id + 3 * v.key + s.slot, s.kind, v.at + make_interval(mins => 4 * s.slot),
        v.at + make_interval(mins => 4 * s.slot, secs => 2), 'demo',
        CASE WHEN v.stream <> 3 THEN 'v' || v.key END,
        CASE WHEN s.kind IN ('search', 'cart_add', 'cart_abandoned')
            THEN jsonb_build_object('origin', v.home, 'destination',
                r.airports[iaros.chance_pick(v.key, seed, 231, r.weights)])
            ELSE '{}' END
    FROM demo_visit v
    JOIN (VALUES (1, 0, 'app_open'), (2, 0, 'login'), (3, 0, 'email_open'), (3, 1, 'email_click'),
        (4, 0, 'search'), (5, 0, 'search'), (5, 1, 'cart_add'), (5, 2, 'cart_abandoned'),
        (6, 0, 'referral')) AS s(stream, slot, kind) ON s.stream = v.stream
    JOIN demo_route r ON r.home = v.home AND r.band = 'medium' AND r.trip = 2
    WHERE (s.kind <> 'email_click' OR iaros.chance(v.key, seed, 230) < 0.22)
      AND v.at + make_interval(mins => 4 * s.slot) < as_of;
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END $$;
COMMENT ON FUNCTION @extschema@.demo_make_visit_events(integer, bigint, date) IS
'Step of demo_generate(): events of visits without a booking.';

CREATE FUNCTION @extschema@.demo_make_touchpoints(customers integer, seed bigint, as_of date)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    AS $$
DECLARE
    done bigint;
    first_id bigint := (SELECT count(*) FROM demo_trip);
BEGIN
    -- Channels touch a journey without a booking with chance q, one with a
    -- booking with odds q / (1 - q) times the odds ratio; by Bayes' rule that
    -- is a logistic model of booking whose coefficients are the effects.
    INSERT INTO iaros.touchpoint (customer_id, touchpoint_id, occurred_at, channel, kind, cost_base, source, received_at)
    SELECT j.customer_id, 10 * j.journey + c.no, j.ends_at - make_interval(secs =>
            60 + iaros.chance_int(j.journey, seed, 260 + c.no, 72 * 3600 - 120)),
        c.channel, c.kind,
        round(c.cost_base * (0.7 + 0.6 * iaros.chance(j.journey, seed, 280 + c.no))::numeric, 4), 'demo', j.ends_at
    FROM (
        SELECT t.customer_id, t.booking_id AS journey, t.booked_at AS ends_at, p.email_consent, true AS booked
        FROM demo_trip t
        JOIN demo_person p ON p.person_id = t.person_id
        WHERE t.channel IN ('web', 'mobile') AND iaros.booking_counts(t.status)
        UNION ALL
        SELECT v.customer_id, first_id + v.key, v.at, v.email_consent, false
        FROM demo_visit v WHERE v.stream = 7
    ) j
    JOIN (
        SELECT x.channel, x.kind, x.cost_base, (x.ordinality - 1)::integer AS no, x.presence AS without,
            x.presence * x.odds_ratio / (1 - x.presence + x.presence * x.odds_ratio) AS before
        FROM iaros.demo_truth_channels() WITH ORDINALITY AS x
    ) c ON iaros.chance(j.journey, seed, 240 + c.no) < CASE WHEN j.booked THEN c.before ELSE c.without END
        AND (c.channel <> 'email' OR j.email_consent);
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END $$;
COMMENT ON FUNCTION @extschema@.demo_make_touchpoints(integer, bigint, date) IS
'Step of demo_generate(): touchpoints of journeys that end with a booking and of those that do not, with the effects of demo_truth_channels().';

CREATE FUNCTION @extschema@.demo_make_conversions(customers integer, seed bigint, as_of date)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    base text := iaros.setting_get('base_currency');
    done bigint;
BEGIN
    INSERT INTO iaros.conversion (customer_id, conversion_id, occurred_at, booking_id, value_base, source)
    SELECT t.customer_id, t.booking_id, t.booked_at, t.booking_id, iaros.money_round(t.amount * t.rate, base), 'demo'
    FROM demo_trip t
    WHERE t.channel IN ('web', 'mobile') AND iaros.booking_counts(t.status)
    ORDER BY t.customer_id, t.booking_id;
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END $$;
COMMENT ON FUNCTION @extschema@.demo_make_conversions(integer, bigint, date) IS
'Step of demo_generate(): one conversion for each purchase on the web or in the application.';

CREATE FUNCTION @extschema@.demo_make_accounts(customers integer, seed bigint, as_of date)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    AS $$
DECLARE
    done bigint;
BEGIN
    INSERT INTO iaros.loyalty_account (customer_id, programme, member_no, tier, points, enrolled_on, cancelled_on)
    SELECT p.person_id, 'frequent_flyer', 'FF' || lpad(p.person_id::text, 9, '0'),
        CASE
            WHEN s.spend_year >= 15000 THEN 'platinum' WHEN s.spend_year >= 7000 THEN 'gold'
            WHEN s.spend_year >= 2500 THEN 'silver' ELSE 'member'
        END,
        floor(coalesce(s.spend, 0) * (2 + 3 * iaros.chance(p.person_id, seed, 300)))::bigint,
        e.enrolled_on,
        CASE WHEN iaros.chance(p.person_id, seed, 302) < 0.02
            THEN e.enrolled_on + iaros.chance_int(p.person_id, seed, 303, greatest(as_of - e.enrolled_on, 1)) END
    FROM demo_person p
    CROSS JOIN LATERAL (VALUES (least(p.joined_on + iaros.chance_int(p.person_id, seed, 301, 60), as_of - 1))) AS e(enrolled_on)
    LEFT JOIN (
        SELECT t.person_id, sum(t.amount * t.rate)::float8 AS spend,
            sum(t.amount * t.rate) FILTER (WHERE t.booked_at >= as_of - interval '12 months')::float8 AS spend_year
        FROM demo_trip t WHERE t.status IN ('flown', 'no_show') GROUP BY t.person_id
    ) s ON s.person_id = p.person_id
    WHERE p.member;
    GET DIAGNOSTICS done = ROW_COUNT;
    INSERT INTO iaros.loyalty_key (programme, member_no, customer_id)
    SELECT a.programme, a.member_no, a.customer_id FROM iaros.loyalty_account a;
    RETURN done;
END $$;
COMMENT ON FUNCTION @extschema@.demo_make_accounts(integer, bigint, date) IS
'Step of demo_generate(): loyalty accounts, with tiers by the spend of the last year and points by what was flown.';

CREATE FUNCTION @extschema@.demo_make_visitors(customers integer, seed bigint, as_of date)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    AS $$
DECLARE
    airports text[] := ARRAY(SELECT a.airport::text FROM iaros.demo_airports() a ORDER BY a.airport);
    last_event bigint;
    done bigint;
BEGIN
    SELECT coalesce(max(e.event_id), 0) INTO last_event FROM iaros.event e;
    INSERT INTO iaros.customer (customer_id, kind, source, created_at, updated_at)
    SELECT v.id, 'anonymous', 'demo', v.seen_at, v.seen_at
    FROM (SELECT customers + n AS id,
              as_of - interval '1 second' * (3600 + iaros.chance_int(customers + n, seed, 400, 180 * 86400)) AS seen_at
          FROM generate_series(1, customers / 20) AS n) v;
    GET DIAGNOSTICS done = ROW_COUNT;
    INSERT INTO iaros.customer_identifier (customer_id, kind, value, is_primary, source, created_at)
    SELECT c.customer_id, 'cookie', md5(format('visitor %s of %s', c.customer_id, seed)), true, 'demo', c.created_at
    FROM iaros.customer c WHERE c.kind = 'anonymous';
    INSERT INTO iaros.event (customer_id, event_id, kind, occurred_at, received_at, source, session_id, properties)
    SELECT c.customer_id, last_event + row_number() OVER (ORDER BY c.customer_id, k), x.kind, x.at, x.at, 'demo',
        'v' || c.customer_id, CASE x.kind WHEN 'search' THEN jsonb_build_object('origin', x.origin, 'destination', x.destination) ELSE '{}' END
    FROM iaros.customer c
    CROSS JOIN LATERAL generate_series(0, iaros.chance_int(c.customer_id, seed, 401, 4)) AS k
    CROSS JOIN LATERAL (SELECT CASE WHEN k % 2 = 1 THEN 'search' ELSE 'page_view' END, c.created_at + interval '40 seconds' * k,
        airports[1 + iaros.chance_int(c.customer_id, seed, 402 + k, cardinality(airports) / 2)],
        airports[1 + cardinality(airports) / 2 + iaros.chance_int(c.customer_id, seed, 410 + k, cardinality(airports) - cardinality(airports) / 2)]
        ) AS x(kind, at, origin, destination)
    WHERE c.kind = 'anonymous';
    -- A third logs in later and is recognised.
    INSERT INTO iaros.customer_alias (customer_id, master_id, recognised_as, reason, created_at)
    SELECT c.customer_id, m.id, m.id, 'login', c.created_at + interval '10 minutes'
    FROM iaros.customer c
    CROSS JOIN LATERAL (VALUES ((1 + iaros.chance_int(c.customer_id, seed, 421, customers))::bigint)) AS m(id)
    WHERE c.kind = 'anonymous' AND iaros.chance(c.customer_id, seed, 420) < 1.0 / 3;
    RETURN done;
END $$;
COMMENT ON FUNCTION @extschema@.demo_make_visitors(integer, bigint, date) IS
'Step of demo_generate(): anonymous visitors, one for twenty customers, with a cookie and some events in the 180 days before as_of; a third of them is recognised as a customer.';

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.demo_check(customers integer, seed bigint, as_of date)
    RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    missing text;
BEGIN
    PERFORM iaros.install_check();
    IF customers NOT BETWEEN 1 AND 10000000 OR customers IS NULL OR seed IS NULL
        OR as_of NOT BETWEEN DATE '1990-01-01' AND DATE '2100-01-01' OR as_of IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('cannot make a demo of "%s" customers with seed "%s" as of "%s"', customers, seed, as_of),
            HINT = 'Give 1 to 10000000 customers, any seed, and a day from 1990-01-01 to 2100-01-01.';
    END IF;
    IF EXISTS (SELECT FROM iaros.customer) OR EXISTS (SELECT FROM iaros.customer_key) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'cannot make a demo where there are customers already',
            DETAIL = 'The demo computes its keys from row numbers.',
            HINT = 'Use an empty database, or take an earlier demo away with SELECT iaros.demo_clear().';
    END IF;
    IF iaros.demo_rate(iaros.setting_get('base_currency'), as_of) IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'feature_not_supported',
            MESSAGE = format('the demo has no rates for base currency "%s"', iaros.setting_get('base_currency')),
            HINT = format('Set base_currency to one of %s.',
                (SELECT string_agg(DISTINCT c.currency, ', ') FROM iaros.demo_countries() c));
    END IF;
    SELECT string_agg(d.airport, ', ') INTO missing
    FROM iaros.demo_airports() d
    WHERE NOT EXISTS (SELECT FROM iaros.airport a WHERE a.airport = d.airport);
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'no_data_found',
            MESSAGE = format('airports of the demo are missing: %s', missing),
            HINT = 'Add them to iaros.airport; they came with install().';
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.demo_check(integer, bigint, date) IS
'For demo_generate(): refuses arguments that make no sense (22023), a database that has customers (55000), a base currency without rates (0A000), missing airports (P0002).';

CREATE FUNCTION @extschema@.demo_tables() RETURNS regclass[]
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN ARRAY['iaros.customer', 'iaros.demo_truth', 'iaros.customer_identifier', 'iaros.customer_trait',
        'iaros.consent', 'iaros.dnc', 'iaros.preference', 'iaros.booking', 'iaros.booking_item', 'iaros.event',
        'iaros.touchpoint', 'iaros.conversion', 'iaros.loyalty_account', 'iaros.loyalty_key']::regclass[];
END $$;
COMMENT ON FUNCTION @extschema@.demo_tables() IS
'Returns the tables with foreign keys that demo_generate() fills.';

CREATE FUNCTION @extschema@.demo_strip() RETURNS jsonb
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    part record;
    parts jsonb;
BEGIN
    -- A foreign key checked row by row, or an index filled row by row,
    -- takes several times as long as one checked or built at the end. The
    -- tables are empty, and locked by this transaction from here on.
    SELECT jsonb_agg(to_jsonb(p) ORDER BY p.rank, p.relation, p.name) INTO parts
    FROM (
        SELECT 1 AS rank, i.indrelid::regclass::text AS relation, c.relname AS name,
            format('DROP INDEX iaros.%I', c.relname) AS strip,
            concat_ws('; ', regexp_replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON '), format('COMMENT ON INDEX iaros.%I IS %L', c.relname,
                obj_description(i.indexrelid, 'pg_class'))) AS restore
        FROM pg_index i
        JOIN pg_class c ON c.oid = i.indexrelid AND NOT c.relispartition
        WHERE i.indrelid = ANY (iaros.demo_tables()) AND NOT i.indisunique AND NOT i.indisreplident
        UNION ALL
        SELECT 2, k.conrelid::regclass::text, k.conname,
            format('ALTER TABLE %s DROP CONSTRAINT %I', k.conrelid::regclass, k.conname),
            concat_ws('; ', format('ALTER TABLE %s ADD CONSTRAINT %I %s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid)),
                format('COMMENT ON CONSTRAINT %I ON %s IS %L', k.conname, k.conrelid::regclass, obj_description(k.oid, 'pg_constraint')))
        FROM pg_constraint k
        WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid = ANY (iaros.demo_tables())
    ) p;
    FOR part IN SELECT * FROM jsonb_to_recordset(parts) AS p(strip text) LOOP
        EXECUTE part.strip;
    END LOOP;
    RETURN parts;
END $$;
COMMENT ON FUNCTION @extschema@.demo_strip() IS
'For demo_generate(): takes the foreign keys and the indexes that are not unique, also those that users added, from the tables that it fills, and returns what demo_restore() needs to make them again, comments included.';

CREATE FUNCTION @extschema@.demo_restore(parts jsonb) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    part record;
    done bigint := 0;
BEGIN
    FOR part IN
        SELECT p.restore FROM jsonb_to_recordset(parts) AS p(rank integer, relation text, name text, restore text)
        ORDER BY p.rank, p.relation, p.name
    LOOP
        EXECUTE part.restore;
        done := done + 1;
    END LOOP;
    RETURN done;
END $$;
COMMENT ON FUNCTION @extschema@.demo_restore(jsonb) IS
'For demo_generate(): makes the indexes and foreign keys again that demo_strip() took, so that each is checked against all rows, and returns how many.';

CREATE FUNCTION @extschema@.demo_generate(
    customers integer DEFAULT 20000,
    seed bigint DEFAULT 1,
    as_of date DEFAULT current_date)
    RETURNS TABLE (step text, rows bigint, ms numeric)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET work_mem = '256MB'
    SET maintenance_work_mem = '256MB'
    SET jit = off
    AS $$
#variable_conflict use_column
DECLARE
    began timestamptz;
    parts jsonb;
BEGIN
    PERFORM iaros.install_check();
    -- Nobody adds customers between the check and the end.
    LOCK TABLE iaros.customer IN ACCESS EXCLUSIVE MODE;
    PERFORM iaros.demo_check(demo_generate.customers, demo_generate.seed, demo_generate.as_of);
    parts := iaros.demo_strip();
    FOREACH step IN ARRAY ARRAY['partitions', 'rates', 'people', 'customers', 'attributes', 'trips', 'bookings',
        'items', 'booking_events', 'visits', 'visit_events', 'touchpoints', 'conversions', 'accounts', 'visitors',
        'constraints', 'statistics']
    LOOP
        began := clock_timestamp();
        CASE step
            WHEN 'partitions' THEN
                rows := iaros.partition_ensure((demo_generate.as_of - interval '26 months')::date, demo_generate.as_of);
            WHEN 'constraints' THEN
                rows := iaros.demo_restore(parts);
            WHEN 'statistics' THEN
                rows := iaros.demo_finish();
            ELSE
                EXECUTE format('SELECT iaros.%I($1, $2, $3)', 'demo_make_' || step) INTO rows
                    USING demo_generate.customers, demo_generate.seed, demo_generate.as_of;
        END CASE;
        ms := round((1000 * date_part('epoch', clock_timestamp() - began))::numeric, 1);
        RAISE NOTICE 'demo: % %, % ms', rows, replace(step, '_', ' '), ms;
        RETURN NEXT;
    END LOOP;
    PERFORM iaros.audit_append('demo.generate', 'demo', NULL, NULL, jsonb_build_object(
        'customers', demo_generate.customers, 'seed', demo_generate.seed, 'as_of', demo_generate.as_of));
END $$;
COMMENT ON FUNCTION @extschema@.demo_generate(integer, bigint, date) IS
'Fills an empty database with a seeded airline: so many customers with about 10 bookings and 50 events each over the 24 months before as_of, in all tables that a customer may have rows in, and one anonymous visitor for twenty customers. Returns each step with the rows it wrote and its milliseconds, and tells them by NOTICE as it goes. The same arguments give the same rows, as long as base currency, rates and airports are the same; all rows have source demo. What was planted: demo_truth_customers(), demo_truth_personas(), demo_truth_channels(), demo_truth_baskets(). Writes an audit row. For the owner of the tables; locks them until the transaction ends. Errors: 22023 arguments out of range, 55000 there are customers already, 0A000 base currency that the demo does not use, P0002 airport missing. Linear in customers.';

CREATE FUNCTION @extschema@.demo_finish() RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    one record;
    next_id bigint;
    done bigint := 0;
BEGIN
    FOR one IN SELECT t.relation FROM unnest(ARRAY['demo_airport', 'demo_person', 'demo_record',
        'demo_route', 'demo_group', 'demo_trip', 'demo_visit']) AS t(relation)
    LOOP
        EXECUTE format('DROP TABLE pg_temp.%I', one.relation);
    END LOOP;
    FOR one IN SELECT * FROM (VALUES ('customer', 'customer_id'), ('booking', 'booking_id'), ('event', 'event_id'),
        ('touchpoint', 'touchpoint_id'), ('conversion', 'conversion_id'), ('consent', 'consent_id'),
        ('dnc', 'dnc_id')) AS s(relation, attribute)
    LOOP
        EXECUTE format('SELECT setval(%L, greatest((SELECT last_value FROM iaros.%I), (SELECT max(%I) FROM iaros.%I)))',
            format('iaros.%I', one.attribute || '_seq'), one.attribute || '_seq', one.attribute, one.relation);
    END LOOP;
    SELECT max(c.customer_id) INTO next_id FROM iaros.customer c;
    PERFORM setval('iaros.loyalty_member_seq', greatest((SELECT s.last_value FROM iaros.loyalty_member_seq s), next_id));
    FOR one IN SELECT u.relation FROM unnest(iaros.demo_tables()) AS u(relation) LOOP
        EXECUTE format('ANALYZE %s', one.relation);
        done := done + 1;
    END LOOP;
    ANALYZE iaros.customer_key, iaros.fx_rate;
    RETURN done + 2;
END $$;
COMMENT ON FUNCTION @extschema@.demo_finish() IS
'For demo_generate(): drops its temporary tables, moves the sequences behind the keys in use, collects statistics, and returns how many tables got them.';

CREATE FUNCTION @extschema@.demo_clear() RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    gone bigint;
    others bigint;
    tables text;
BEGIN
    PERFORM iaros.install_check();
    SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY c.oid) INTO tables
    FROM iaros.table_roles() r
    JOIN pg_class c ON c.oid = to_regclass('iaros.' || r.relation)
    WHERE c.oid <> 'iaros.audit_log'::regclass
      AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'customer_id' AND NOT a.attisdropped);
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', tables);
    SELECT count(*), count(*) FILTER (WHERE c.source <> 'demo') INTO gone, others FROM iaros.customer c;
    SELECT others + count(*) INTO others FROM iaros.booking b WHERE b.source <> 'demo';
    IF others > 0 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('cannot clear the demo: %s customers or bookings are not of the demo', others),
            DETAIL = 'Clearing empties every table about customers.',
            HINT = 'Delete the rows of source "demo" one by one, or those of other sources first.';
    END IF;
    EXECUTE format('TRUNCATE %s', tables);
    -- Rates of others stay, and then each deletion is in the audit log.
    IF EXISTS (SELECT FROM iaros.fx_rate f WHERE f.rate IS DISTINCT FROM iaros.demo_rate_base(f.currency, f.day)) THEN
        DELETE FROM iaros.fx_rate f WHERE f.rate = iaros.demo_rate_base(f.currency, f.day);
    ELSE
        TRUNCATE iaros.fx_rate;
    END IF;
    DELETE FROM iaros.model_version v
    WHERE v.name IN (SELECT l.model FROM iaros.demo_model_list() l)
      AND strpos(v.pmml, '<Application name="iaros demo"/>') > 0;
    PERFORM iaros.audit_append('demo.clear', 'demo', NULL, NULL, jsonb_build_object('customers', gone));
    RETURN gone;
END $$;
COMMENT ON FUNCTION @extschema@.demo_clear() IS
'Takes away what demo_generate() made and returns how many customers that were: empties every table of iaros that has a customer_id except the audit log, with all that was computed or sent for these customers since, and takes away the demo''s rates of exchange (in one go, or where there are other rates one by one, each with its audit row) and the versions of models that demo_models() made. Sequences keep their place. Writes an audit row. For the owner of the tables. Error: 55000 when there is a customer or booking of another source; then nothing is done.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.demo_install()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
IF iaros.schema_step('demo', 1) THEN
    CREATE TABLE iaros.demo_truth (
        customer_id bigint PRIMARY KEY REFERENCES iaros.customer ON DELETE CASCADE,
        persona text NOT NULL,
        duplicate_of bigint,
        joined_on date NOT NULL,
        dropped_out_on date,
        purchase_rate float8 NOT NULL CHECK (purchase_rate >= 0),
        spend_mean float8 NOT NULL CHECK (spend_mean > 0),
        email_consent boolean NOT NULL,
        CHECK (duplicate_of <> customer_id)
    );
    COMMENT ON TABLE iaros.demo_truth IS
        'What demo_generate() planted in each customer, so that it can be judged whether it is found. Read by demo_truth_customers().';
    COMMENT ON COLUMN iaros.demo_truth.duplicate_of IS 'The customer that is the same person, stored first; NULL for that one.';
    COMMENT ON COLUMN iaros.demo_truth.purchase_rate IS 'Bookings a year while active.';
    COMMENT ON COLUMN iaros.demo_truth.spend_mean IS 'Mean amount of a booking in the base currency.';
END IF;
END $install$;
COMMENT ON PROCEDURE @extschema@.demo_install() IS
'Makes the table of the domain demo. Called by install().';
